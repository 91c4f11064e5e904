package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.bindings.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Netlink messages, whole and with lengths that lie; and this machine's kernel as a peer. */
class NetlinkCodecTest {
    private static final int FAMILY = 30;

    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void close() {
        arena.close();
    }

    private NetlinkRequest request(int command) {
        return new NetlinkRequest(arena, "test", FAMILY, command, 1);
    }

    @Test
    void whatIsWrittenIsRead() throws Exception {
        NetlinkRequest request = request(7).u32(1, -5).u64(2, Long.MIN_VALUE).string(3, "\u00fcber");
        long outer = request.open(4);
        long inner = request.open(5);
        request.u32(6, 6).close(inner).close(outer).u32(8, 8);

        NetlinkMessage message = NetlinkMessage.parse(request.message(99)).getFirst();
        assertThat(message.type()).isEqualTo(FAMILY);
        assertThat(message.sequence()).isEqualTo(99);
        assertThat(message.command()).isEqualTo(7);
        List<NetlinkAttribute> attributes = message.attributes();
        assertThat(attributes).extracting(NetlinkAttribute::type).containsExactly(1, 2, 3, 4, 8);
        assertThat(attributes.get(0).u32()).isEqualTo(-5);
        assertThat(attributes.get(1).value().get(ValueLayout.JAVA_LONG_UNALIGNED, 0))
                .isEqualTo(Long.MIN_VALUE);
        assertThat(attributes.get(2).string()).isEqualTo("\u00fcber");
        assertThat(attributes.get(3).nested().getFirst().nested().getFirst().u32())
                .isEqualTo(6);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 15, 25, 4096, Integer.MAX_VALUE, Integer.MIN_VALUE, -1})
    void aMessagesLengthThatLiesIsRefused(int length) {
        MemorySegment message = request(1).u32(1, 1).message(1).asSlice(0, 24);
        message.set(ValueLayout.JAVA_INT, 0, length);
        assertThatThrownBy(() -> NetlinkMessage.parse(message))
                .isInstanceOf(NetlinkException.class)
                .hasMessageContaining("a message of " + Integer.toUnsignedString(length) + " bytes where 24 are left");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3, 9, 0x7fff, 0xffff})
    void anAttributesLengthThatLiesIsRefused(int length) throws Exception {
        NetlinkMessage message =
                NetlinkMessage.parse(request(1).u32(1, 1).message(1)).getFirst();
        message.payload().set(ValueLayout.JAVA_SHORT, Linux.GENL_HDRLEN(), (short) length);
        assertThatThrownBy(message::attributes)
                .isInstanceOf(NetlinkException.class)
                .hasMessageContaining("an attribute of " + length + " bytes where 8 are left");
    }

    @Test
    void anAttributeOfAnotherSizeIsRefused() throws Exception {
        NetlinkAttribute eight = NetlinkMessage.parse(request(1).u64(1, 1).message(1))
                .getFirst()
                .attributes()
                .getFirst();
        assertThatThrownBy(eight::u32).hasMessageContaining("attribute 1 has 8 bytes, not 4");
        assertThatThrownBy(eight::u16).hasMessageContaining("not 2");
        assertThatThrownBy(eight::u8).hasMessageContaining("not 1");
        assertThatThrownBy(() -> NetlinkAttribute.required(List.of(eight), 2))
                .hasMessageContaining("without attribute 2");
    }

    @Test
    void aMessageTooShortForItsHeaderIsRefused() throws Exception {
        MemorySegment message = request(1).message(1);
        message.set(ValueLayout.JAVA_INT, 0, Linux.NLMSG_HDRLEN());
        NetlinkMessage empty =
                NetlinkMessage.parse(message.asSlice(0, Linux.NLMSG_HDRLEN())).getFirst();
        assertThatThrownBy(empty::attributes).hasMessageContaining("a generic message of 0 bytes");
        assertThatThrownBy(empty::errno).hasMessageContaining("an acknowledgement of 0 bytes");
    }

    @Test
    void anAcknowledgementThatRepeatsALyingRequestIsRefused() throws Exception {
        MemorySegment payload = arena.allocate(40, 8);
        payload.set(ValueLayout.JAVA_INT, 0, -22);
        payload.set(ValueLayout.JAVA_INT, 4, 0x7fff_fff0);
        NetlinkMessage message = new NetlinkMessage(Linux.NLMSG_ERROR(), Linux.NLM_F_ACK_TLVS(), 1, payload);
        assertThat(message.errno()).isEqualTo(22);
        assertThatThrownBy(message::text).hasMessageContaining("ends before its text");
    }

    @Test
    void damagedDatagramsAreReadOrRefusedAndNothingElse() {
        Random random = new Random(4);
        MemorySegment intact = request(1).u32(1, 1).string(2, "text").u64(3, 3).message(1);
        MemorySegment damaged = arena.allocate(intact.byteSize(), 8);
        for (int round = 0; round < 20_000; round++) {
            damaged.copyFrom(intact);
            for (int i = random.nextInt(4); i >= 0; i--) {
                damaged.set(ValueLayout.JAVA_BYTE, random.nextLong(damaged.byteSize()), (byte) random.nextInt());
            }
            MemorySegment datagram = damaged.asSlice(0, random.nextLong(damaged.byteSize() + 1));
            try {
                for (NetlinkMessage message : NetlinkMessage.parse(datagram)) {
                    message.attributes();
                    message.errno();
                    message.text();
                }
            } catch (NetlinkException e) {
                assertThat(e.getMessage()).startsWith("netlink: ");
            }
        }
    }

    @Test
    void onlyOurDevicesDeadLinksCount() throws Exception {
        MemorySegment ours = request(Linux.NBD_CMD_LINK_DEAD())
                .u32(Linux.NBD_ATTR_INDEX(), 3)
                .message(0);
        MemorySegment twice = arena.allocate(2 * ours.byteSize(), 8);
        twice.asSlice(0, ours.byteSize()).copyFrom(ours);
        twice.asSlice(ours.byteSize()).copyFrom(ours);
        assertThat(DeadLinks.count(twice, FAMILY, 3)).isEqualTo(2);
        assertThat(DeadLinks.count(twice, FAMILY, 4)).isZero();
        assertThat(DeadLinks.count(twice, FAMILY + 1, 3)).isZero();
    }

    @Test
    void requestsHaveALimit() {
        NetlinkRequest request = request(1);
        assertThatThrownBy(() -> request.string(1, "x".repeat(NetlinkRequest.CAPACITY)))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void theKernelKnowsItsOwnFamilyAndRefusesOthers() throws Exception {
        try (GenericNetlink netlink = new GenericNetlink()) {
            GenericNetlink.Family control = netlink.family("nlctrl");
            assertThat(control.id()).isEqualTo(Linux.GENL_ID_CTRL());
            assertThat(control.groups()).containsKey("notify");
            assertThatThrownBy(() -> netlink.family("no-such-family"))
                    .isInstanceOfSatisfying(
                            NetlinkException.class, e -> assertThat(e.errno()).isEqualTo(Linux.ENOENT()))
                    .hasMessageContaining("ENOENT");
            // The socket is as good as before.
            assertThat(netlink.family("nlctrl").id()).isEqualTo(control.id());
        }
    }
}

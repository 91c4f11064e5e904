package farsight.protocol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Messages byte by byte as proto.md lays them out. */
class CodecTest {
    private static final long COOKIE = 0x1122334455667788L;

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment memory = arena.allocate(ReplyChunk.LARGEST + 1);

    @AfterEach
    void free() {
        arena.close();
    }

    private String written(long bytes) {
        return HexFormat.of().formatHex(memory.asSlice(1, bytes).toArray(ValueLayout.JAVA_BYTE));
    }

    private MemorySegment bytes(String hex) {
        return arena.allocateFrom(ValueLayout.JAVA_BYTE, HexFormat.of().parseHex(hex.replace(" ", "")));
    }

    private void wrote(long size, String hex) {
        String expected = hex.replace(" ", "");
        assertThat(size).isEqualTo(expected.length() / 2);
        assertThat(written(size)).isEqualTo(expected);
    }

    @Test
    void requestsAreCompactOrExtended() {
        RequestHeader.write(memory, 1, 0x102, 3, COOKIE, 0x8000000000000001L, 0xfffffffeL);
        wrote(RequestHeader.SIZE, "25609513 0102 0003 1122334455667788 8000000000000001 fffffffe");
        assertThat(RequestHeader.length(memory, 1)).isEqualTo(0xfffffffeL);
        assertThat(RequestHeader.offset(memory, 1)).isEqualTo(Long.MIN_VALUE + 1);
        RequestHeader.writeExtended(memory, 1, 0xffff, 0xfffe, COOKIE, 5, 0x100000000L);
        wrote(RequestHeader.EXTENDED_SIZE, "21e41c71 ffff fffe 1122334455667788 0000000000000005 0000000100000000");
        assertThat(RequestHeader.magic(memory, 1)).isEqualTo(Nbd.NBD_EXTENDED_REQUEST_MAGIC);
        assertThat(RequestHeader.flags(memory, 1)).isEqualTo(0xffff);
        assertThat(RequestHeader.type(memory, 1)).isEqualTo(0xfffe);
        assertThat(RequestHeader.cookie(memory, 1)).isEqualTo(COOKIE);
        assertThat(RequestHeader.extendedLength(memory, 1)).isEqualTo(1L << 32);
    }

    @Test
    void dataAndHoles() {
        wrote(
                ReplyChunk.data(memory, 1, false, true, COOKIE, 99, 0x200, 0x1000),
                "668e33ef 0001 0001 1122334455667788 00001008 0000000000000200");
        wrote(
                ReplyChunk.data(memory, 1, true, false, COOKIE, 99, 0x200, 0x1000),
                "6e8a278c 0000 0001 1122334455667788 0000000000000063 0000000000001008 0000000000000200");
        wrote(
                ReplyChunk.hole(memory, 1, false, false, COOKIE, 99, 0x200, 0xfffff000L),
                "668e33ef 0000 0002 1122334455667788 0000000c 0000000000000200 fffff000");
        wrote(
                ReplyChunk.hole(memory, 1, true, true, COOKIE, 99, 0x200, 512),
                "6e8a278c 0001 0002 1122334455667788 0000000000000063 000000000000000c 0000000000000200 00000200");
    }

    @Test
    void endsAndErrors() {
        wrote(ReplyChunk.none(memory, 1, false, COOKIE, 99), "668e33ef 0001 0000 1122334455667788 00000000");
        wrote(
                ReplyChunk.none(memory, 1, true, COOKIE, 99),
                "6e8a278c 0001 0000 1122334455667788 0000000000000063 0000000000000000");
        byte[] text = "no".getBytes(StandardCharsets.UTF_8);
        wrote(
                ReplyChunk.error(memory, 1, false, COOKIE, 99, 22, text),
                "668e33ef 0001 8001 1122334455667788 00000008 00000016 0002 6e6f");
        wrote(
                ReplyChunk.errorOffset(memory, 1, true, COOKIE, 99, 5, text, 0x300),
                "6e8a278c 0001 8002 1122334455667788 0000000000000063 0000000000000010 00000005 0002 6e6f"
                        + " 0000000000000300");
    }

    @Test
    void longTextsAreCutBetweenCharacters() {
        byte[] text = ("x" + "é".repeat(300)).getBytes(StandardCharsets.UTF_8);
        int size = ReplyChunk.errorOffset(memory, 1, true, COOKIE, 0, 5, text, 0);
        assertThat(size).isLessThanOrEqualTo(ReplyChunk.LARGEST);
        int length = memory.get(Wire.SHORT, 1 + ReplyChunk.EXTENDED_HEADER + 4);
        assertThat(length).isEqualTo(255);
        String kept = new String(
                memory.asSlice(1 + ReplyChunk.EXTENDED_HEADER + 6, length).toArray(ValueLayout.JAVA_BYTE),
                StandardCharsets.UTF_8);
        assertThat(kept).isEqualTo("x" + "é".repeat(127));
    }

    @Test
    void blockStatus() {
        wrote(
                ReplyChunk.status(memory, 1, false, true, COOKIE, 99, 2, 3),
                "668e33ef 0001 0005 1122334455667788 0000001c 00000002");
        wrote(
                ReplyChunk.status(memory, 1, true, false, COOKIE, 99, 1, 3),
                "6e8a278c 0000 0006 1122334455667788 0000000000000063 0000000000000038 00000001 00000003");
        ReplyChunk.descriptor(memory, 1, false, 0xffffffffL, 3);
        wrote(ReplyChunk.descriptorSize(false), "ffffffff 00000003");
        ReplyChunk.descriptor(memory, 1, true, Long.MAX_VALUE, 1);
        wrote(ReplyChunk.descriptorSize(true), "7fffffffffffffff 0000000000000001");
    }

    @Test
    void aStatusPayloadNamesEachContextOnce() {
        assertThat(StatusFilter.possible(8)).isFalse();
        assertThat(StatusFilter.possible(12)).isTrue();
        assertThat(StatusFilter.possible(13)).isFalse();
        assertThat(StatusFilter.possible(16)).isTrue();
        assertThat(StatusFilter.possible(20)).isTrue();
        assertThat(StatusFilter.possible(24)).isFalse();
        MemorySegment payload = bytes("0000000100000000 00000002 00000001");
        assertThat(StatusFilter.length(payload)).isEqualTo(1L << 32);
        assertThat(StatusFilter.contexts(payload, 16, 3)).isEqualTo(3);
        assertThat(StatusFilter.contexts(payload, 12, 3)).isEqualTo(2);
        assertThat(StatusFilter.contexts(payload, 16, 1)).isZero();
        assertThat(StatusFilter.contexts(bytes("0000000000000200 00000001 00000001"), 16, 3))
                .isZero();
        assertThat(StatusFilter.contexts(bytes("0000000000000200 00000003"), 12, 3))
                .isZero();
    }

    @Test
    void questionsAboutContextsFillTheirOptionExactly() throws ProtocolException {
        MetaContexts all = MetaContexts.parse(bytes("00000001 61 00000000"));
        assertThat(all.export()).isEqualTo("a");
        assertThat(all.queries()).isEmpty();
        MetaContexts two = MetaContexts.parse(bytes("00000000 00000002 00000002 613a 00000003 613a62"));
        assertThat(two.queries()).containsExactly("a:", "a:b");
        for (String wrong : List.of(
                "",
                "000000",
                "00000001",
                "00000000 0000",
                "00000000 00000001",
                "00000000 00000001 00000003 613a",
                "00000000 00000001 00000002 613a 00",
                "00000000 ffffffff 00000002 613a",
                "ffffffff 00000000",
                "00000000 00000001 00000001 61",
                "00000000 00000001 00000002 3a61",
                "00000000 00000001 00000003 613aff")) {
            assertThatThrownBy(() -> MetaContexts.parse(bytes(wrong))).as(wrong).isInstanceOf(ProtocolException.class);
        }
    }

    @Test
    void contextsAreFoundByNameAndByNamespace() {
        Set<MetaContext> both = Set.of(MetaContext.ALLOCATION, MetaContext.DIRTY);
        assertThat(MetaContext.listed(List.of(), both)).hasSize(2);
        assertThat(MetaContext.listed(List.of("base:"), both)).containsExactly(MetaContext.ALLOCATION);
        assertThat(MetaContext.selected(List.of("base:"), both)).isEmpty();
        assertThat(MetaContext.selected(List.of("farsight:dirty"), both)).containsExactly(MetaContext.DIRTY);
        assertThat(MetaContext.selected(List.of("farsight:dirty"), Set.of(MetaContext.ALLOCATION)))
                .isEmpty();
        assertThat(MetaContext.mask(both)).isEqualTo(3);
        assertThat(MetaContext.of(2)).isEqualTo(MetaContext.DIRTY);
        assertThat(MetaContext.of(3)).isNull();
        assertThat(MetaContext.listed(List.of("farsight:"), Set.of(MetaContext.values())))
                .containsExactlyInAnyOrder(MetaContext.DIRTY, MetaContext.DEPTH);
    }
}

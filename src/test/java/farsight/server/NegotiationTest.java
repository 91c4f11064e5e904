package farsight.server;

import static farsight.tools.WireClient.*;
import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.config.Limits;
import farsight.tools.WireClient;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Options in every order, and each refusal of the handshake with its text. */
class NegotiationTest {
    private static final int SEND_DF = 1 << 7;

    @TempDir
    Path directory;

    private TestServer serve() throws IOException {
        return new TestServer.Builder(directory)
                .memory("memory", 1 << 20)
                .file("file", directory.resolve("disk.img"), 1 << 20)
                .failing("policy", new DeviceException(Errno.EPERM, "not for you"))
                .failing("platform", new DeviceException(Errno.ENOTSUP, "libnothing.so is missing"))
                .failing("shutdown", new DeviceException(Errno.ESHUTDOWN, "going down"))
                .failing("large", new DeviceException(Errno.EOVERFLOW, "too much"))
                .failing("broken", new IOException("the disk is broken"))
                .start();
    }

    private static OptionReply last(WireClient client, int option, byte... data) throws IOException {
        return client.option(option, data).getLast();
    }

    @Test
    void whyAnExportCannotBeHadIsSaid() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()) {
                Object[][] refusals = {
                    {"policy", POLICY, "not for you"},
                    {"platform", PLATFORM, "libnothing.so is missing"},
                    {"shutdown", 0x80000007, "going down"},
                    {"large", TOO_BIG, "too much"},
                    {"broken", UNKNOWN, "the disk is broken"},
                    {"nothing", UNKNOWN, "no export has the name 'nothing'"},
                    {"", UNKNOWN, "there is no default export; name one"},
                };
                for (Object[] refusal : refusals) {
                    for (int option : new int[] {INFO, GO}) {
                        OptionReply reply = last(client, option, export((String) refusal[0]));
                        assertThat(reply.type()).as((String) refusal[0]).isEqualTo(refusal[1]);
                        assertThat(reply.text()).isEqualTo(refusal[2]);
                    }
                }
                client.go("memory");
                assertThat(client.errorOf(0, WRITE, 0, 1, (byte) 1)).isZero();
            }
        }
    }

    @Test
    void optionsThatAreWrongInThemselvesAreInvalid() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()) {
                for (int option : new int[] {LIST, STRUCTURED_REPLY, EXTENDED_HEADERS}) {
                    assertThat(last(client, option, (byte) 0).type()).isEqualTo(INVALID);
                }
                assertThat(last(client, GO).type()).isEqualTo(INVALID);
                assertThat(last(client, GO, new byte[5]).type()).isEqualTo(INVALID);
                byte[] lie = export("memory", 3);
                lie[3]++;
                assertThat(last(client, INFO, lie).type()).isEqualTo(INVALID);
                byte[] bad = export("memory", 3);
                bad[5] = (byte) 0xff;
                assertThat(last(client, GO, bad).text()).contains("UTF-8");
                bad[5] = 0;
                assertThat(last(client, GO, bad).text()).contains("NUL");
                OptionReply unknown = last(client, 77, new byte[100]);
                assertThat(unknown.type()).isEqualTo(UNSUP);
                assertThat(unknown.option()).isEqualTo(77);
                assertThat(last(client, 4).type()).isEqualTo(UNSUP); // NBD_OPT_PEEK_EXPORT, withdrawn
                assertThat(last(client, STARTTLS).type()).isEqualTo(POLICY);
                client.go("memory");
            }
        }
    }

    @Test
    void anOptionThatIsTooLongIsPassedOver() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()) {
                assertThat(last(client, GO, new byte[100_000]).type()).isEqualTo(TOO_BIG);
                assertThat(last(client, 99, new byte[1 << 20]).type()).isEqualTo(TOO_BIG);
                client.go("memory");
            }
        }
    }

    @Test
    void requestsThatFollowTheLastOptionAtOnceAreServed() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()) {
                byte[] name = export("memory", 3);
                int writes = 50;
                ByteBuffer all = ByteBuffer.allocate(16 + name.length + writes * (28 + 4096));
                all.putLong(0x49484156454f5054L).putInt(GO).putInt(name.length).put(name);
                for (int i = 0; i < writes; i++) {
                    all.putInt(0x25609513)
                            .putInt(WRITE)
                            .putLong(i)
                            .putLong(i * 4096)
                            .putInt(4096);
                    all.position(all.position() + 4096);
                }
                client.send(all.flip());
                assertThat(client.optionReplies().getLast().type()).isEqualTo(ACK);
                for (int i = 0; i < writes; i++) {
                    assertThat(client.chunk().error()).isZero();
                }
            }
        }
    }

    @Test
    void blockSizesMayBeRequired() throws IOException {
        EndlessDevice device = new EndlessDevice(1 << 20, new BlockSizes(4096, 8192, 1 << 20));
        try (TestServer server =
                new TestServer.Builder(directory).exact("exact", device).start()) {
            try (WireClient client = server.wire()) {
                List<OptionReply> replies = client.option(GO, export("exact", 1, 2));
                assertThat(replies.getLast().type()).isEqualTo(BLOCK_SIZE_REQD);
                assertThat(replies.getLast().text()).contains("NBD_INFO_BLOCK_SIZE");
                // The sizes come before, to save the client a question.
                assertThat(ByteBuffer.wrap(replies.getFirst().data()))
                        .isEqualTo(ByteBuffer.allocate(14)
                                .putShort((short) 3)
                                .putInt(4096)
                                .putInt(8192)
                                .putInt(64 << 20)
                                .flip());
                assertThat(client.answer(INFO, export("exact"))).isEqualTo(ACK);
            }
            try (WireClient client = server.wire().structured().go("exact")) {
                assertThat(client.errorOf(0, READ, 4096, 4096)).isZero();
                assertThat(client.errorOf(0, READ, 0, 512)).isEqualTo(Errno.EINVAL);
                assertThat(client.errorOf(0, WRITE, 512, 4096, new byte[4096])).isEqualTo(Errno.EINVAL);
            }
            try (WireClient client = server.wire()) {
                client.sendOption(EXPORT_NAME, 5, "exact".getBytes());
                assertThat(client.atEnd()).isTrue();
            }
        }
    }

    @Test
    void fastZeroesAreRefusedWhereTheyAreSlow() throws IOException {
        EndlessDevice device = new EndlessDevice(1 << 20);
        try (TestServer server =
                new TestServer.Builder(directory).device("slow", device).start()) {
            try (WireClient client = server.wire().structured().go("slow")) {
                assertThat(client.flags() & 1 << 11).isNotZero();
                Chunk refused = client.request(FAST_ZERO, WRITE_ZEROES, 0, 4096).getFirst();
                assertThat(refused.error()).isEqualTo(Errno.ENOTSUP);
                assertThat(refused.text()).contains("no faster");
                assertThat(device.asked).isEmpty();
                assertThat(client.errorOf(0, WRITE_ZEROES, 0, 4096)).isZero();
                assertThat(device.asked).hasSize(1);
            }
        }
    }

    @Test
    void extendedHeadersTakePrecedence() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured().extended()) {
                assertThat(last(client, STRUCTURED_REPLY).type()).isEqualTo(EXT_HEADER_REQD);
                assertThat(last(client, EXTENDED_HEADERS).type()).isEqualTo(ACK);
                client.go("memory");
                assertThat(client.flags() & SEND_DF).isNotZero();
                assertThat(client.errorOf(0, READ, 0, 512)).isZero();
                // "With extended headers, the flag MUST be set for NBD_CMD_WRITE", and no payload follows without.
                assertThat(client.errorOf(0, WRITE, 0, 512)).isEqualTo(Errno.EINVAL);
                assertThat(client.errorOf(PAYLOAD_LEN, WRITE, 0, 512, new byte[512]))
                        .isZero();
            }
            try (WireClient client = server.wire().extended()) {
                client.sendOption(EXPORT_NAME, 6, "memory".getBytes());
                assertThat(client.atEnd()).isTrue();
            }
            try (WireClient client = server.wire().extended().go("memory")) {
                client.send(ByteBuffer.allocate(32).putInt(0x25609513).rewind());
                assertThat(client.atEnd()).isTrue();
            }
        }
    }

    @Test
    void whatTakesChunksIsOnlyOfferedWithChunks() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().go("memory")) {
                assertThat(client.flags() & SEND_DF).isZero();
                assertThat(client.errorOf(DF, READ, 0, 512)).isEqualTo(Errno.EINVAL);
            }
            try (WireClient client = server.wire().structured().go("memory")) {
                assertThat(client.flags() & SEND_DF).isNotZero();
                assertThat(client.errorOf(PAYLOAD_LEN, WRITE, 0, 512, new byte[512]))
                        .isEqualTo(Errno.EINVAL);
                assertThat(client.errorOf(0, READ, 0, 512)).isZero();
            }
        }
    }

    @Test
    void informationIsGivenAsAskedAndTheSameByInfoAndGo() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured()) {
                List<OptionReply> info = client.option(INFO, export("file", 1, 2, 3, 4000));
                List<OptionReply> go = client.option(GO, export("file", 1, 2, 3, 4000));
                assertThat(info.stream().map(OptionReply::text))
                        .containsExactlyElementsOf(
                                go.stream().map(OptionReply::text).toList());
                assertThat(info.stream().map(reply -> reply.type() == ACK ? -1 : (int) reply.data()[1]))
                        .containsExactlyInAnyOrder(0, 1, 2, 3, -1);
                assertThat(info.stream().map(OptionReply::text))
                        .contains("\0\1file", "\0\2file " + directory.resolve("disk.img") + ", 1MiB");
            }
            try (WireClient client = server.wire()) {
                List<OptionReply> bare = client.option(INFO, export("file"));
                // The size of blocks comes unasked.
                assertThat(bare.stream().map(reply -> reply.type() == ACK ? -1 : (int) reply.data()[1]))
                        .containsExactlyInAnyOrder(0, 3, -1);
            }
        }
    }

    @Test
    void exportNameWorksWithItsZeroesAndEndsTheSessionWhenItCannot() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()) {
                client.sendOption(EXPORT_NAME, 6, "memory".getBytes());
                assertThat(client.receive(10).getLong()).isEqualTo(1 << 20);
                assertThat(client.errorOf(0, WRITE, 0, 1, (byte) 1)).isZero();
            }
            for (String name : new String[] {"nothing", "policy", "platform"}) {
                try (WireClient client = server.wire()) {
                    client.sendOption(EXPORT_NAME, name.length(), name.getBytes());
                    assertThat(client.atEnd()).isTrue();
                }
            }
        }
    }

    @Test
    void abortIsAcknowledgedWhateverItCarries() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()) {
                assertThat(last(client, ABORT, new byte[10]).type()).isEqualTo(ACK);
                assertThat(client.atEnd()).isTrue();
            }
        }
    }

    @Test
    void listingTellsNamesAndDescriptions() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()) {
                List<OptionReply> replies = client.option(LIST);
                assertThat(replies).hasSize(8);
                assertThat(replies.stream().map(OptionReply::text))
                        .contains("\0\0\0\6memory", "\0\0\0\6policyfails to open", "");
            }
        }
    }

    @Test
    void aHandshakeGetsOnWhenAllOfThePoolIsTaken() throws Exception {
        Patient device = new Patient();
        Limits tiny = new Limits(16, 64, 64L << 20, 10, 64, Duration.ofSeconds(30), 1 << 20);
        try (TestServer server = new TestServer.Builder(directory)
                .device("patient", device)
                .limits(tiny)
                .start()) {
            try (WireClient greedy = server.wire().structured().go("patient");
                    WireClient other = server.wire()) {
                // A pool of 1 MiB is four buffers of this size: one to receive into, and three for these.
                for (int i = 0; i < 3; i++) {
                    greedy.send(0, READ, i, 0, 256 << 10);
                }
                device.await(3);
                // In two parts, so that the first has to be kept.
                byte[] name = export("patient", 3);
                other.sendOption(GO, name.length, java.util.Arrays.copyOf(name, 3));
                other.send(ByteBuffer.wrap(name, 3, name.length - 3));
                assertThat(other.optionReplies().getLast().type()).isEqualTo(ACK);
                device.letGo();
                for (int i = 0; i < 3; i++) {
                    greedy.chunk();
                }
            }
        }
    }

    /** Keeps requests until it is told to let them go. */
    private static final class Patient implements AsyncBlockDevice {
        private final java.util.List<Request> kept = new java.util.ArrayList<>();
        private boolean free;

        @Override
        public long size() {
            return 1 << 20;
        }

        @Override
        public Set<Feature> features() {
            return Set.of();
        }

        @Override
        public synchronized void submit(Request request) {
            if (free) {
                request.complete();
            } else {
                kept.add(request);
                notifyAll();
            }
        }

        synchronized void await(int count) throws InterruptedException {
            long deadline = System.nanoTime() + 20_000_000_000L;
            while (kept.size() < count) {
                wait(1000);
                assertThat(System.nanoTime()).isLessThan(deadline);
            }
        }

        synchronized void letGo() {
            free = true;
            kept.forEach(Request::complete);
            kept.clear();
        }
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.BlockDevice;
import farsight.backend.Feature;
import farsight.config.Io;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Storage that lends its memory: what the server tells it of writes, before and after. */
class LentMemoryTest {
    private static final int SIZE = 1 << 20;
    private static final int SHORT = 16 << 10;

    @TempDir
    Path directory;

    /** Keeps what it is told; a client's data goes to its memory without asking it. */
    private static final class Lender implements BlockDevice {
        private final Arena arena = Arena.ofShared();
        private final MemorySegment memory = arena.allocate(SIZE);
        private final List<String> told = Collections.synchronizedList(new ArrayList<>());

        @Override
        public long size() {
            return SIZE;
        }

        @Override
        public Set<Feature> features() {
            return Set.of();
        }

        @Override
        public MemorySegment memory() {
            return memory;
        }

        @Override
        public void announced(long[] offsets, int count) {
            told.add("soon " + LongStream.of(offsets).limit(count).boxed().toList());
            Arrays.fill(offsets, -1); // it may
        }

        @Override
        public void written(long offset, long length) {
            told.add("written " + offset + " " + length);
        }

        @Override
        public void read(MemorySegment target, long offset) {
            throw new AssertionError("a read that needs no device");
        }

        @Override
        public void write(MemorySegment source, long offset) {
            throw new AssertionError("a write that needs no device");
        }

        @Override
        public void close() {
            arena.close();
        }
    }

    private static byte[] filled(int length, int with) {
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, (byte) with);
        return bytes;
    }

    private static void write(RawClient client, long cookie, long offset, long length, byte[] data) throws IOException {
        int flags = client.extended() ? Nbd.NBD_CMD_FLAG_PAYLOAD_LEN : 0;
        client.request(Nbd.NBD_CMD_WRITE, flags, cookie, offset, length, data);
    }

    private static void expectAnswers(RawClient client, int... errors) throws IOException {
        int[] got = new int[errors.length];
        for (int i = 0; i < errors.length; i++) {
            RawClient.Reply reply = client.reply();
            got[(int) reply.cookie()] = reply.error();
        }
        assertThat(got).isEqualTo(errors);
    }

    @ParameterizedTest
    @CsvSource({"EPOLL, false", "EPOLL, true", "URING, false", "URING, true"})
    void shortWritesThatCameTogetherAreAnnounced(Io io, boolean extended) throws IOException {
        Lender lender = new Lender();
        try (TestServer server =
                new TestServer.Builder(directory).io(io).device("lent", lender).start()) {
            try (RawClient client = RawClient.greet(server.connect())) {
                assertThat(!extended || client.negotiateExtended()).isTrue();
                client.go("lent");

                // Reads in between do not matter. A long write is no matter for it, and neither is what follows that.
                client.hold();
                write(client, 0, 8192, 4096, filled(4096, 1));
                client.request(Nbd.NBD_CMD_READ, 0, 1, SIZE - 512, 512);
                write(client, 2, SIZE - 1, 1, filled(1, 2));
                write(client, 3, 0, SHORT, filled(SHORT, 3));
                write(client, 4, 100_000, SHORT + 1, filled(SHORT + 1, 4));
                write(client, 5, 200_000, 4, filled(4, 5));
                client.sendHeld();
                expectAnswers(client, 0, 0, 0, 0, 0, 0);
                assertThat(lender.told)
                        .containsExactly(
                                "soon [8192, " + (SIZE - 1) + ", 0]",
                                "written 8192 4096",
                                "written " + (SIZE - 1) + " 1",
                                "written 0 " + SHORT,
                                "written 100000 " + (SHORT + 1),
                                "written 200000 4");

                // A single one has nothing to be quicker than.
                lender.told.clear();
                write(client, 0, 300_000, 4, filled(4, 6));
                expectAnswers(client, 0);
                assertThat(lender.told).containsExactly("written 300000 4");

                // Nothing outside of the memory is announced; what is refused ends the look ahead.
                for (long[] wrong : new long[][] {{SIZE, 4}, {SIZE - 3, 4}, {-4, 4}, {Long.MIN_VALUE, 4}, {0, 0}}) {
                    lender.told.clear();
                    client.hold();
                    write(client, 0, 4096, 4, filled(4, 7));
                    write(client, 1, 5120, 4, filled(4, 7));
                    write(client, 2, wrong[0], wrong[1], filled((int) wrong[1], 8));
                    write(client, 3, 6144, 4, filled(4, 7));
                    client.sendHeld();
                    expectAnswers(client, 0, 0, wrong[1] == 0 ? 0 : Nbd.NBD_ENOSPC, 0);
                    assertThat(lender.told)
                            .containsExactly("soon [4096, 5120]", "written 4096 4", "written 5120 4", "written 6144 4");
                }

                // More than are noted.
                lender.told.clear();
                client.hold();
                for (int i = 0; i < 40; i++) {
                    write(client, i, 512 * i, 512, filled(512, i));
                }
                client.sendHeld();
                expectAnswers(client, new int[40]);
                assertThat(lender.told.getFirst())
                        .isEqualTo("soon "
                                + LongStream.range(0, 32)
                                        .map(i -> 512 * i)
                                        .boxed()
                                        .toList());
                assertThat(lender.told).hasSize(41);
            }
            expect(lender, SIZE - 1, 2);
            expect(lender, 100_000 + SHORT, 4);
            expect(lender, 300_000, 6);
            expect(lender, 19 * 512 + 1, 19);
        }
    }

    @ParameterizedTest
    @CsvSource({"EPOLL, false", "EPOLL, true", "URING, false", "URING, true"})
    void whereverABatchIsCutAllOfItArrives(Io io, boolean extended) throws IOException {
        Lender lender = new Lender();
        int header = extended ? 32 : 28;
        try (TestServer server =
                new TestServer.Builder(directory).io(io).device("lent", lender).start()) {
            try (RawClient client = RawClient.greet(server.connect())) {
                assertThat(!extended || client.negotiateExtended()).isTrue();
                client.go("lent");
                for (int cut = 1; cut < 3 * (header + 40); cut++) {
                    ByteBuffer all = ByteBuffer.allocate(3 * (header + 40));
                    for (int i = 0; i < 3; i++) {
                        client.hold();
                        write(client, i, 1000L * cut + 100 * i, 40, filled(40, cut + i));
                        all.put(client.takeHeld());
                    }
                    client.send(all.flip().limit(cut));
                    Thread.onSpinWait();
                    client.send(all.limit(all.capacity()).position(cut));
                    expectAnswers(client, 0, 0, 0);
                    for (int i = 0; i < 3; i++) {
                        expect(lender, 1000 * cut + 100 * i, cut + i);
                        expect(lender, 1000 * cut + 100 * i + 39, cut + i);
                        expect(lender, 1000 * cut + 100 * i + 40, 0);
                    }
                }
            }
        }
    }

    private static void expect(Lender lender, long offset, int content) {
        assertThat(lender.memory.get(ValueLayout.JAVA_BYTE, offset))
                .as("at %d", offset)
                .isEqualTo((byte) content);
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.client.NbdClient;
import farsight.client.NbdException;
import farsight.config.Io;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Files behind a real server, whose content goes from the page cache to the socket, by both kinds of loops. */
class ServedFilesTest {
    private static final int SIZE = 32 << 20;

    @TempDir
    Path directory;

    private TestServer server(Io io) throws IOException {
        return new TestServer.Builder(directory)
                .io(io)
                .file("disk", directory.resolve("disk.img"), SIZE)
                .start();
    }

    private static MemorySegment random(Arena arena, int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return arena.allocate(length).copyFrom(MemorySegment.ofArray(bytes));
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void whatWasWrittenIsReadInEverySize(Io io) throws IOException {
        try (TestServer server = server(io);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofShared()) {
            MemorySegment data = random(arena, 20 << 20);
            client.write(data, 4097, false);
            MemorySegment back = arena.allocate(20 << 20);
            List<CompletableFuture<Void>> reads = new ArrayList<>();
            Random random = new Random(1);
            int at = 0;
            while (at < 20 << 20) {
                int length = Math.min((20 << 20) - at, 1 + random.nextInt(1 << random.nextInt(21)));
                reads.add(client.readAsync(back.asSlice(at, length), 4097L + at));
                at += length;
            }
            reads.forEach(CompletableFuture::join);
            assertThat(back.mismatch(data)).isEqualTo(-1);
            client.read(back, 4097);
            assertThat(back.mismatch(data)).isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void holesReadAsZeroesAndWritesAreSeenAtOnce(Io io) throws IOException {
        try (TestServer server = server(io);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofShared()) {
            MemorySegment expected = random(arena, SIZE);
            client.write(expected, 0, false);
            MemorySegment fresh = random(arena, 70_000);
            MemorySegment back = arena.allocate(SIZE);
            for (int round = 0; round < 10; round++) {
                long hole = round * (2L << 20) + 12345;
                client.trim(hole, 300_000);
                client.zero(hole + 400_000, 300_000, round % 2 == 0);
                client.write(fresh, hole + 100_000, true);
                expected.asSlice(hole, 300_000).fill((byte) 0);
                expected.asSlice(hole + 400_000, 300_000).fill((byte) 0);
                expected.asSlice(hole + 100_000, 70_000).copyFrom(fresh);
                client.read(back, 0);
                assertThat(back.mismatch(expected)).isEqualTo(-1);
            }
            client.flush();
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void whatIsCutFromAFileFailsItsReadsAndNothingElse(Io io) throws IOException {
        try (TestServer server = server(io);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofShared()) {
            MemorySegment data = random(arena, SIZE);
            client.write(data, 0, false);
            MemorySegment back = arena.allocate(1 << 20);
            client.read(back, SIZE - (1 << 20));
            try (RandomAccessFile file =
                    new RandomAccessFile(directory.resolve("disk.img").toFile(), "rw")) {
                file.setLength(4 << 20);
            }
            assertThatThrownBy(() -> client.read(back, SIZE - (1 << 20)))
                    .isInstanceOfSatisfying(
                            NbdException.class, e -> assertThat(e.error()).isEqualTo(Nbd.NBD_EIO));
            client.read(back, 3 << 20);
            assertThat(back.mismatch(data.asSlice(3 << 20, 1 << 20))).isEqualTo(-1);
        }
    }
}

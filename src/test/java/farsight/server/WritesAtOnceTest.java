package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.client.NbdClient;
import farsight.config.Io;
import farsight.loop.Counters;
import farsight.protocol.Nbd;
import farsight.tools.Commands;
import farsight.tools.Requires;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Writes to files that loops make themselves: which ones, when, and what becomes of others when the file system hangs. */
@Timeout(120)
class WritesAtOnceTest {
    private static final int SIZE = 8 << 20;
    private static final int PAGE = 4096;
    private static final Duration SOON = Duration.ofMillis(100);

    @TempDir
    Path directory;

    /** On tmpfs, whatever else this machine has. */
    private Path memory;

    @BeforeEach
    void makeMemory() throws IOException {
        memory = Files.createTempDirectory(Path.of("/dev/shm"), "farsight-test");
    }

    @AfterEach
    void removeMemory() throws IOException {
        Files.deleteIfExists(memory.resolve("disk.img"));
        Files.deleteIfExists(memory.resolve("other.img"));
        Files.delete(memory);
    }

    private TestServer server(Io io, int loops) throws IOException {
        return new TestServer.Builder(directory)
                .io(io)
                .loops(loops)
                .file("disk", memory.resolve("disk.img"), SIZE)
                .memory("ram", SIZE)
                .start();
    }

    private static long atOnce(TestServer server) {
        return server.server().counters().stream()
                .mapToLong(Counters::fileWritesAtOnce)
                .sum();
    }

    private static MemorySegment random(Arena arena, int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return arena.allocate(length).copyFrom(MemorySegment.ofArray(bytes));
    }

    /** How many of ten writes were. */
    private static long tried(TestServer server, NbdClient client) {
        long before = atOnce(server);
        try (Arena arena = Arena.ofShared()) {
            for (int i = 0; i < 10; i++) {
                client.writeAsync(arena.allocate(PAGE), (long) i * PAGE, false).join();
            }
        }
        return atOnce(server) - before;
    }

    private static long tried(TestServer server, RawClient client) {
        long before = atOnce(server);
        try {
            for (int i = 0; i < 10; i++) {
                client.request(Nbd.NBD_CMD_WRITE, 0, i, (long) i * PAGE, PAGE, new byte[PAGE]);
                assertThat(client.reply().error()).isZero();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return atOnce(server) - before;
    }

    /** Sooner or later: on a busy machine a write may take so long that the next ones are not. */
    private static void assertAtOnce(TestServer server, NbdClient client) {
        TestServer.awaitTrue("nothing is written at once", () -> tried(server, client) > 0);
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void wholePagesAreAndNothingElseIs(Io io) throws IOException {
        try (TestServer server = server(io, 2);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofShared()) {
            MemorySegment data = random(arena, SIZE);
            long at = 0;
            for (int length : new int[] {PAGE, 2 * PAGE, 64 << 10, 256 << 10}) {
                MemorySegment pages = data.asSlice(at, length);
                long start = at;
                TestServer.awaitTrue(length + " bytes are not written at once", () -> {
                    long before = atOnce(server);
                    client.writeAsync(pages, start, false).join();
                    return atOnce(server) > before;
                });
                at += length;
            }
            long before = atOnce(server);
            client.write(data.asSlice(at, 512), at, false);
            client.write(data.asSlice(at + 512, PAGE), at + 512, false);
            at += 512 + PAGE;
            client.write(data.asSlice(at, PAGE - 512), at, false);
            at += PAGE - 512;
            client.write(data.asSlice(at, PAGE), at, true);
            at += PAGE;
            client.write(data.asSlice(at, 1 << 20), at, false);
            at += 1 << 20;
            assertThat(atOnce(server)).as("parts of pages, FUA, and a long one").isEqualTo(before);
            byte[] written = new byte[(int) at];
            try (RandomAccessFile file =
                    new RandomAccessFile(memory.resolve("disk.img").toFile(), "r")) {
                file.readFully(written);
            }
            assertThat(data.asSlice(0, at).mismatch(MemorySegment.ofArray(written)))
                    .isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void onlyWhereNobodyElseWouldHaveToWait(Io io) throws IOException {
        try (TestServer server = server(io, 2);
                NbdClient client = NbdClient.connect(server.uri("disk"))) {
            assertAtOnce(server, client);
            try (NbdClient onTheOtherLoop = NbdClient.connect(server.uri("ram"))) {
                assertThat(onTheOtherLoop.size()).isEqualTo(SIZE);
                assertAtOnce(server, client);
                try (NbdClient other = NbdClient.connect(server.uri("ram"))) {
                    assertThat(other.size()).isEqualTo(SIZE);
                    assertThat(tried(server, client))
                            .as("with another export's client")
                            .isZero();
                }
                TestServer.awaitTrue("it does not leave", () -> server.server().connections() == 2);
                try (NbdClient another = NbdClient.connect(server.uri("disk"))) {
                    assertAtOnce(server, client);
                    assertAtOnce(server, another);
                }
                TestServer.awaitTrue("it does not leave", () -> server.server().connections() == 2);
                try (SocketChannel silent = server.connect()) {
                    ByteBuffer greeting = ByteBuffer.allocate(1);
                    assertThat(silent.read(greeting)).isEqualTo(1);
                    assertThat(tried(server, client))
                            .as("with one that shakes hands")
                            .isZero();
                }
            }
        }
    }

    /** As fio does, which asks for the size on a connection of its own. */
    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void alsoOfWhomTheLoopThatAcceptsHadToTake(Io io) throws IOException {
        try (TestServer server = server(io, 2)) {
            try (RawClient client = server.stray().go("disk")) {
                TestServer.awaitTrue("nothing is written at once", () -> tried(server, client) > 0);
                assertThat(server.server().counters().getFirst().fileWritesAtOnce())
                        .isZero();
            }
        }
    }

    /** Two that were on the loop that accepts when both others became empty: each has one to itself. */
    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void twoThatMoveDoNotMoveToTheSameLoop(Io io) throws IOException {
        List<RawClient> clients = new ArrayList<>();
        try (TestServer server = new TestServer.Builder(directory)
                .io(io)
                .loops(3)
                .file("disk", memory.resolve("disk.img"), SIZE)
                .file("other", memory.resolve("other.img"), SIZE)
                .start()) {
            for (int i = 0; i < 6; i++) {
                clients.add(RawClient.greet(server.connect())); // every third one comes to the loop that accepts
            }
            for (int i : new int[] {0, 1, 3, 4}) {
                clients.get(i).close();
            }
            TestServer.awaitTrue("they do not leave", () -> server.server().connections() == 2);
            RawClient one = clients.get(2).go("disk");
            RawClient other = clients.get(5).go("other");
            TestServer.awaitTrue("nothing is written at once", () -> tried(server, one) > 0);
            TestServer.awaitTrue("nothing of the other is", () -> tried(server, other) > 0);
            one.close();
            other.close();
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void theLoopThatAcceptsNeverDoes(Io io) throws IOException {
        try (TestServer server = server(io, 1);
                NbdClient client = NbdClient.connect(server.uri("disk"))) {
            assertThat(tried(server, client)).isZero();
        }
    }

    /** A file system that hangs, for once really: a frozen one lets no write begin until it is thawed. */
    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void othersAreServedWhileAFileSystemHangs(Io io) throws Exception {
        Requires.root();
        String make = Requires.tool("mkfs.ext4", "e2fsprogs").toString();
        Requires.tool("fsfreeze", "util-linux");
        Path device = directory.resolve("ext4.img");
        try (RandomAccessFile file = new RandomAccessFile(device.toFile(), "rw")) {
            file.setLength(64 << 20);
        }
        String mounted = Files.createDirectory(directory.resolve("mounted")).toString();
        run(make, "-q", "-F", device.toString());
        run("mount", "-o", "loop", device.toString(), mounted);
        try (TestServer server = new TestServer.Builder(directory)
                .io(io)
                .loops(2)
                .file("frozen", Path.of(mounted, "disk.img"), SIZE)
                .memory("ram", SIZE)
                .start()) {
            hang(server, mounted);
        } finally {
            run("umount", mounted);
        }
    }

    private void hang(TestServer server, String mounted) throws Exception {
        List<NbdClient> others = new ArrayList<>();
        try (NbdClient client = NbdClient.connect(server.uri("frozen"));
                Arena arena = Arena.ofShared()) {
            MemorySegment data = random(arena, 2 * PAGE);
            assertAtOnce(server, client);
            client.write(data.asSlice(0, PAGE), 0, false);
            List<CompletableFuture<Void>> hanging = new ArrayList<>();
            run("fsfreeze", "-f", mounted);
            try {
                // Not always the first one: on a busy machine the loop may have waited a moment ago.
                TestServer.awaitTrue("nothing hangs", () -> {
                    hanging.add(client.writeAsync(data.asSlice(PAGE, PAGE), PAGE, false));
                    return !server.server().isResponsive(SOON);
                });
                for (int i = 0; i < 5; i++) {
                    NbdClient other = NbdClient.connect(server.uri("ram"));
                    others.add(other); // more of them than the hanging loop has
                    MemorySegment back = arena.allocate(PAGE);
                    other.write(data.asSlice(0, PAGE), 0, false);
                    other.read(back, 0);
                    assertThat(back.mismatch(data.asSlice(0, PAGE))).isEqualTo(-1);
                }
                assertThat(hanging).allMatch(write -> !write.isDone());
            } finally {
                run("fsfreeze", "-u", mounted);
            }
            for (CompletableFuture<Void> write : hanging) {
                write.get(60, TimeUnit.SECONDS);
            }
            assertThat(server.server().isResponsive(Duration.ofSeconds(20))).isTrue();
            client.write(data, 4 * PAGE, false);
            MemorySegment back = arena.allocate(2 * PAGE);
            client.read(back, 0);
            assertThat(back.mismatch(data)).isEqualTo(-1);
            client.read(back, 4 * PAGE);
            assertThat(back.mismatch(data)).isEqualTo(-1);
        } finally {
            others.forEach(NbdClient::close);
        }
    }

    private static void run(String... command) throws Exception {
        Commands.command(command).run().expectSuccess();
    }
}

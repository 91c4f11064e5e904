package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockDevice;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.client.ClientOptions;
import farsight.client.NbdClient;
import farsight.client.NbdException;
import farsight.config.Limits;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Storage of every temper behind a real server and a real connection. */
class DevicesTest {
    private static final int SIZE = 32 << 20;

    @TempDir
    Path directory;

    /** The least: reading and writing. */
    private static class Disk implements BlockDevice {
        final byte[] bytes = new byte[SIZE];

        @Override
        public long size() {
            return bytes.length;
        }

        @Override
        public void read(MemorySegment target, long offset) throws IOException {
            target.copyFrom(MemorySegment.ofArray(bytes).asSlice(offset, target.byteSize()));
        }

        @Override
        public void write(MemorySegment source, long offset) throws IOException {
            MemorySegment.ofArray(bytes).asSlice(offset, source.byteSize()).copyFrom(source);
        }
    }

    /** Keeps requests until a test lets them go. */
    private static final class Patient implements AsyncBlockDevice {
        final BlockingQueue<Request> kept = new LinkedBlockingQueue<>();

        @Override
        public long size() {
            return SIZE;
        }

        @Override
        public Set<Feature> features() {
            return Set.of(Feature.FLUSH);
        }

        @Override
        public void submit(Request request) {
            kept.add(request);
        }

        Request take() throws InterruptedException {
            Request request = kept.poll(20, TimeUnit.SECONDS);
            assertThat(request).as("a request of the client").isNotNull();
            return request;
        }
    }

    TestServer.Builder server() {
        return new TestServer.Builder(directory);
    }

    private static MemorySegment random(Arena arena, int length) {
        MemorySegment memory = arena.allocate(length);
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return memory.copyFrom(MemorySegment.ofArray(bytes));
    }

    private static void errorOf(int error, NbdCall call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        NbdException.class, e -> assertThat(e.error()).isEqualTo(error));
    }

    private interface NbdCall {
        void run() throws IOException;
    }

    @Test
    void storageThatOnlyReadsAndWritesGetsZeroesWrittenAndNoFlush() throws IOException {
        Disk disk = new Disk();
        try (TestServer server = server().device("disk", disk).start();
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            assertThat(client.negotiated().flagNames())
                    .contains("SEND_WRITE_ZEROES", "CAN_MULTI_CONN", "SEND_FAST_ZERO")
                    .doesNotContain("SEND_FLUSH", "SEND_FUA", "SEND_TRIM");
            client.write(random(arena, 1 << 20), 1 << 20, false);
            client.zero((1 << 20) + 1000, 900_001, true);
            MemorySegment back = arena.allocate(900_001);
            client.read(back, (1 << 20) + 1000);
            assertThat(back.toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
            assertThat(disk.bytes[(1 << 20) + 999])
                    .isEqualTo(random(arena, 1 << 20).get(ValueLayout.JAVA_BYTE, 999));
            errorOf(Nbd.NBD_ENOTSUP, client::flush);
            errorOf(Nbd.NBD_ENOTSUP, () -> client.write(random(arena, 512), 0, true));
        }
    }

    @Test
    void requestsOf24MiBGoThroughInPieces() throws IOException {
        try (TestServer server = server().device("disk", new Disk()).start();
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            MemorySegment data = random(arena, 24 << 20);
            client.write(data, 12345, false);
            MemorySegment back = arena.allocate(24 << 20);
            List<CompletableFuture<Void>> reads = new ArrayList<>();
            MemorySegment small = arena.allocate(512, 1);
            reads.add(client.readAsync(back, 12345));
            reads.add(client.readAsync(small, 12345 + 4096));
            reads.forEach(CompletableFuture::join);
            assertThat(back.mismatch(data)).isEqualTo(-1);
            assertThat(small.mismatch(data.asSlice(4096, 512))).isEqualTo(-1);
        }
    }

    @Test
    void writesOfEverySizeFollowEachOtherWithoutAnswerBetween() throws IOException {
        Random random = new Random(11);
        Disk disk = new Disk();
        try (TestServer server = server().device("disk", disk).start();
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            // Around the size of a piece, so that its end, the next piece and the next request come in one receive.
            int[] sizes = {1, 4096, 200_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (1 << 20) + 70_000, (2 << 20) + 9};
            byte[] model = new byte[SIZE];
            List<CompletableFuture<Void>> writes = new ArrayList<>();
            int at = 0;
            while (at + (3 << 20) < SIZE) {
                MemorySegment data = random(arena, sizes[random.nextInt(sizes.length)]);
                writes.add(client.writeAsync(data, at, false));
                MemorySegment.copy(data, ValueLayout.JAVA_BYTE, 0, model, at, (int) data.byteSize());
                at += (int) data.byteSize();
            }
            writes.forEach(CompletableFuture::join);
            assertThat(java.util.Arrays.mismatch(disk.bytes, model)).isEqualTo(-1);
        }
    }

    @Test
    void manyConnectionsShareASmallPool() throws Exception {
        Limits tight = new Limits(64, 64, 64 << 20, 10, 64, Duration.ofSeconds(10), 16 << 20);
        try (TestServer server =
                server().device("disk", new Disk()).limits(tight).start()) {
            List<Thread> threads = new ArrayList<>();
            List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
            for (int t = 0; t < 8; t++) {
                int base = t * (4 << 20);
                threads.add(Thread.ofPlatform().start(() -> {
                    try (NbdClient client = NbdClient.connect(server.uri("disk"));
                            Arena arena = Arena.ofShared()) {
                        MemorySegment data = random(arena, (4 << 20) - base / 1000);
                        client.write(data, base, false);
                        MemorySegment back = arena.allocate(data.byteSize());
                        client.read(back, base);
                        assertThat(back.mismatch(data)).isEqualTo(-1);
                    } catch (Throwable e) {
                        failures.add(e);
                    }
                }));
            }
            for (Thread thread : threads) {
                thread.join(30_000);
                assertThat(thread.isAlive()).as("still waiting for memory").isFalse();
            }
            assertThat(failures).isEmpty();
            server.awaitNothingInUse();
        }
    }

    @Test
    void failuresOfStorageAreErrorsOfOneRequest() throws IOException {
        BlockDevice failing = new Disk() {
            @Override
            public void read(MemorySegment target, long offset) throws IOException {
                if (offset == 0) {
                    throw new IOException("unreadable");
                }
                if (offset == 512) {
                    throw new DeviceException(Errno.ENOMEM, "no memory");
                }
                if (offset == 1024) {
                    throw new IllegalStateException("a mistake");
                }
                super.read(target, offset);
            }
        };
        try (TestServer server = server().device("disk", failing).start();
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            MemorySegment target = arena.allocate(512);
            errorOf(Nbd.NBD_EIO, () -> client.read(target, 0));
            errorOf(Nbd.NBD_ENOMEM, () -> client.read(target, 512));
            errorOf(Nbd.NBD_EIO, () -> client.read(target, 1024));
            client.read(target, 4096);
        }
    }

    @Test
    void aFailureInTheMiddleOfALargeSimpleReadEndsTheConnectionAndNothingElse() throws IOException {
        BlockDevice failing = new Disk() {
            @Override
            public void read(MemorySegment target, long offset) throws IOException {
                if (offset >= 4 << 20) {
                    throw new IOException("unreadable");
                }
                super.read(target, offset);
            }
        };
        try (TestServer server = server().device("disk", failing).start();
                Arena arena = Arena.ofConfined()) {
            NbdClient client = NbdClient.connect(
                    server.uri("disk"),
                    ClientOptions.DEFAULT.withStructured(false).withExtended(false));
            assertThatThrownBy(() -> client.read(arena.allocate(8 << 20), 0))
                    .isInstanceOf(NbdException.class)
                    .hasMessageContaining("closed the connection");
            client.close();
            try (NbdClient second = NbdClient.connect(server.uri("disk"))) {
                second.read(arena.allocate(4096), 0);
            }
            server.awaitNothingInUse();
        }
    }

    @Test
    void memoryOfAClientThatIsGoneStaysUntilTheDeviceIsDone() throws Exception {
        Patient patient = new Patient();
        try (TestServer server = server().device("disk", patient).start();
                Arena arena = Arena.ofConfined()) {
            NbdClient client = NbdClient.connect(server.uri("disk"));
            MemorySegment data = random(arena, 8192);
            client.writeAsync(data, 0, false);
            client.writeAsync(random(arena, 3 << 20), 1 << 20, false);
            client.readAsync(arena.allocate(65536), 0);
            List<Request> held = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                held.add(patient.take()); // the large write is three pieces
            }
            client.close();
            TestServer.awaitTrue(
                    "the server has not noticed", () -> server.server().requestsInUse() > 0);
            // Another client works with other memory meanwhile.
            try (NbdClient other = NbdClient.connect(server.uri("disk"))) {
                CompletableFuture<Void> write = other.writeAsync(random(arena, 16384), 0, false);
                Request second = patient.take();
                second.complete();
                write.join();
            }
            Request first = held.stream()
                    .filter(request -> request.length() == 8192)
                    .findFirst()
                    .orElseThrow();
            assertThat(first.buffer().mismatch(data))
                    .as("payload of the dead client")
                    .isEqualTo(-1);
            TestServer.awaitTrue(
                    "the dead client's connection does not wait for its requests",
                    () -> server.server().connections() == 1);
            held.forEach(Request::complete);
            server.awaitNothingInUse();
        }
    }

    @Test
    void aRequestCompletedTwiceIsAnsweredOnce() throws Exception {
        Patient patient = new Patient();
        try (TestServer server = server().device("disk", patient).start();
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofShared()) {
            CompletableFuture<Void> write = client.writeAsync(arena.allocate(512), 0, false);
            Request request = patient.take();
            request.complete();
            request.fail(Errno.EIO);
            write.join();
            CompletableFuture<Void> flush = CompletableFuture.runAsync(() -> {
                try {
                    client.flush();
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
            });
            patient.take().complete();
            flush.join();
        }
    }

    @Test
    void tooManyInvalidRequestsEndTheConnection() throws IOException {
        Limits strict = new Limits(8, 64, 64 << 20, 3, 64, Duration.ofSeconds(10), 64 << 20);
        try (TestServer server = server().memory("disk", 1 << 20).limits(strict).start();
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            MemorySegment target = arena.allocate(512);
            for (int i = 0; i < 4; i++) {
                errorOf(Nbd.NBD_EINVAL, () -> client.read(target, 1 << 20));
            }
            assertThatThrownBy(() -> client.read(target, 0)).isInstanceOf(NbdException.class);
            server.awaitNothingInUse();
        }
    }

    @Test
    void connectionsAndHandshakesAreLimited() throws Exception {
        Limits tight = new Limits(2, 64, 64 << 20, 10, 64, Duration.ofMillis(300), 64 << 20);
        try (TestServer server = server().memory("disk", 1 << 20).limits(tight).start()) {
            try (NbdClient client = NbdClient.connect(server.uri("disk"));
                    NbdClient second = NbdClient.connect(server.uri("disk"));
                    var third = server.connect()) {
                assertThat(third.read(java.nio.ByteBuffer.allocate(18)))
                        .as("refused")
                        .isEqualTo(-1);
                client.read(Arena.ofAuto().allocate(512), 0);
                second.read(Arena.ofAuto().allocate(512), 0);
            }
            server.awaitNothingInUse();
            try (NbdClient client = NbdClient.connect(server.uri("disk"));
                    var silent = server.connect()) {
                assertThat(silent.read(java.nio.ByteBuffer.allocate(18))).isEqualTo(18);
                TestServer.awaitTrue(
                        "the silent one is still there", () -> server.server().connections() == 1);
                assertThat(silent.isOpen()).isTrue();
                client.read(Arena.ofAuto().allocate(512), 0);
            }
            server.awaitNothingInUse();
        }
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.Feature;
import farsight.backend.Request.Command;
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
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Storage that takes whole blocks only, behind a real server: clients may ask for any byte. */
class WholeBlocksTest {
    private static final int SIZE = 4 << 20;

    @TempDir
    Path directory;

    private TestServer serve(Sectors sectors) throws IOException {
        return new TestServer.Builder(directory)
                .device("disk", sectors)
                .loops(2)
                .start();
    }

    private static byte[] random(long seed, int length) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private static MemorySegment segment(Arena arena, byte[] bytes) {
        return arena.allocate(bytes.length, 1).copyFrom(MemorySegment.ofArray(bytes));
    }

    private static List<Sectors.Call> callsOf(Sectors sectors, Call call) throws IOException {
        sectors.calls.clear();
        call.run();
        return List.copyOf(sectors.calls);
    }

    private interface Call {
        void run() throws IOException;
    }

    @Test
    void bytesAreAdvertisedWithTheBlockAsPreference() throws IOException {
        try (TestServer server = serve(new Sectors(SIZE, 4096, 1 << 20));
                NbdClient client = NbdClient.connect(server.uri("disk"))) {
            assertThat(client.negotiated().minimumBlock()).isEqualTo(1);
            assertThat(client.negotiated().preferredBlock()).isEqualTo(4096);
        }
    }

    @Test
    void theRestOfALastBlockThatIsNotWholeIsNotServed() throws IOException {
        try (TestServer server = serve(new Sectors(SIZE + 100, 4096, 1 << 20));
                NbdClient client = NbdClient.connect(server.uri("disk"))) {
            assertThat(client.size()).isEqualTo(SIZE);
        }
    }

    /** Every connection owns some bytes of every block; others write whole blocks near by. No write may be lost. */
    @ParameterizedTest
    @ValueSource(ints = {512, 4096, 65536})
    void neighboursInABlockDoNotHarmEachOther(int block) throws Exception {
        int owners = 7;
        int blocks = 6;
        int share = block / owners; // not a round number, which is the point
        byte[] model = new byte[SIZE];
        Sectors sectors = new Sectors(SIZE, block, 1 << 20);
        List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
        try (TestServer server = serve(sectors)) {
            List<Thread> threads = new ArrayList<>();
            for (int owner = 0; owner < owners; owner++) {
                int mine = owner;
                threads.add(Thread.ofPlatform().start(() -> {
                    try (NbdClient client = NbdClient.connect(server.uri("disk"));
                            Arena arena = Arena.ofShared()) {
                        Random random = new Random(mine);
                        for (int round = 0; round < 60; round++) {
                            List<CompletableFuture<Void>> writes = new ArrayList<>();
                            for (int b = 0; b < blocks; b++) {
                                int at = b * block + mine * share + random.nextInt(share / 2);
                                byte[] data = random(random.nextLong(), 1 + random.nextInt(share / 2));
                                writes.add(client.writeAsync(segment(arena, data), at, random.nextInt(8) == 0));
                                System.arraycopy(data, 0, model, at, data.length);
                            }
                            writes.forEach(CompletableFuture::join);
                        }
                    } catch (Throwable e) {
                        failures.add(e);
                    }
                }));
            }
            for (Thread thread : threads) {
                thread.join(60_000);
                assertThat(thread.isAlive()).as("a writer got no answer").isFalse();
            }
            assertThat(failures).isEmpty();
            assertThat(sectors.mistakes).isEmpty();
            assertThat(Arrays.mismatch(sectors.bytes, model)).isEqualTo(-1);
        }
    }

    /** The end of a large write lies in the block that others write wholly, again and again. */
    @Test
    void aWholeBlockIsEitherBeforeOrAfterAPartOfIt() throws Exception {
        Sectors sectors = new Sectors(SIZE, 4096, 1 << 20);
        try (TestServer server = serve(sectors);
                NbdClient one = NbdClient.connect(server.uri("disk"));
                NbdClient other = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofShared()) {
            for (int round = 1; round <= 300; round++) {
                byte[] whole = new byte[4096];
                Arrays.fill(whole, (byte) round);
                byte[] part = new byte[70_000 + 100];
                Arrays.fill(part, (byte) -round);
                long at = 50 * 4096;
                CompletableFuture<Void> first = one.writeAsync(segment(arena, whole), at, false);
                CompletableFuture<Void> second = other.writeAsync(segment(arena, part), at + 100 - part.length, false);
                CompletableFuture.allOf(first, second).join();
                byte[] now = Arrays.copyOfRange(sectors.bytes, (int) at, (int) at + 4096);
                // Whatever came last, the bytes that only the whole block covers are those of the whole block.
                assertThat(Arrays.mismatch(now, 100, 4096, whole, 100, 4096))
                        .as("round " + round)
                        .isEqualTo(-1);
                assertThat(now[0]).isIn((byte) round, (byte) -round);
            }
            assertThat(sectors.mistakes).isEmpty();
        }
    }

    @Test
    void alignedRequestsGoThroughAsTheyAre() throws IOException {
        Sectors sectors = new Sectors(SIZE, 4096, 1 << 20);
        try (TestServer server = serve(sectors);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            MemorySegment data = segment(arena, random(1, 8192));
            assertThat(callsOf(sectors, () -> {
                        client.write(data, 4096, true);
                        client.read(data, 4096);
                        client.zero(0, 4096, true);
                        client.trim(8192, 4096);
                        client.flush();
                    }))
                    .containsExactly(
                            new Sectors.Call(Command.WRITE, 4096, 8192, true),
                            new Sectors.Call(Command.READ, 4096, 8192, false),
                            new Sectors.Call(Command.WRITE_ZEROES, 0, 4096, false),
                            new Sectors.Call(Command.TRIM, 8192, 4096, false),
                            new Sectors.Call(Command.FLUSH, 0, 0, false));
        }
    }

    @Test
    void partsOfBlocksAreStableWhenTheClientAskedForIt() throws IOException {
        Sectors sectors = new Sectors(SIZE, 4096, 1 << 20);
        try (TestServer server = serve(sectors);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            assertThat(callsOf(sectors, () -> client.write(segment(arena, random(2, 10)), 5000, true)))
                    .containsExactly(
                            new Sectors.Call(Command.READ, 4096, 4096, false),
                            new Sectors.Call(Command.WRITE, 4096, 4096, true));
            // A large one: the middle from where it lies, its ends through memory of the server.
            assertThat(callsOf(sectors, () -> client.write(segment(arena, random(3, 100_000)), 5000, true)))
                    .containsExactly(
                            new Sectors.Call(Command.WRITE, 8192, 94_208, true),
                            new Sectors.Call(Command.READ, 4096, 4096, false),
                            new Sectors.Call(Command.WRITE, 4096, 4096, true),
                            new Sectors.Call(Command.READ, 102_400, 4096, false),
                            new Sectors.Call(Command.WRITE, 102_400, 4096, true));
        }
    }

    @Test
    void withoutFuaOfTheStorageItIsFlushedAfterwards() throws IOException {
        Sectors sectors = new Sectors(SIZE, 512, 1 << 20, Set.of(Feature.FLUSH));
        try (TestServer server = serve(sectors);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            assertThat(callsOf(sectors, () -> client.write(segment(arena, random(4, 10)), 1000, true)))
                    .endsWith(
                            new Sectors.Call(Command.WRITE, 512, 512, false),
                            new Sectors.Call(Command.FLUSH, 0, 0, false));
        }
    }

    @Test
    void trimTouchesWholeBlocksAndZeroesEveryByte() throws IOException {
        Sectors sectors = new Sectors(SIZE, 4096, 1 << 20);
        try (TestServer server = serve(sectors);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            assertThat(callsOf(sectors, () -> client.trim(100, 4000))).isEmpty();
            assertThat(callsOf(sectors, () -> client.trim(100, 12_000)))
                    .containsExactly(new Sectors.Call(Command.TRIM, 4096, 4096, false));
            byte[] data = random(5, 1 << 20);
            client.write(segment(arena, data), 0, false);
            for (int[] range :
                    new int[][] {{1, 1}, {100, 4000}, {4000, 200}, {4095, 4098}, {0, 5000}, {8191, 300_000}}) {
                client.zero(range[0], range[1], true);
                Arrays.fill(data, range[0], range[0] + range[1], (byte) 0);
                MemorySegment back = arena.allocate(1 << 20);
                client.read(back, 0);
                assertThat(Arrays.mismatch(back.toArray(ValueLayout.JAVA_BYTE), data))
                        .as(Arrays.toString(range))
                        .isEqualTo(-1);
            }
        }
    }

    @Test
    void requestsLargerThanTheStorageTakesAreCutWherever() throws IOException {
        Sectors sectors = new Sectors(SIZE, 4096, 4096);
        try (TestServer server = serve(sectors);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofConfined()) {
            byte[] data = random(6, 300_001);
            client.write(segment(arena, data), 777, false);
            MemorySegment back = arena.allocate(data.length);
            client.read(back, 777);
            assertThat(back.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(data);
            assertThat(sectors.mistakes).isEmpty();
        }
    }

    @Test
    void aFailureOfOneStepIsTheFailureOfTheRequestAndNothingWaitsForEver() throws IOException {
        Sectors sectors = new Sectors(SIZE, 4096, 1 << 20);
        try (TestServer server = serve(sectors);
                NbdClient client = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofShared()) {
            sectors.failAt(8192, 5);
            assertThatThrownBy(() -> client.write(segment(arena, random(7, 100_000)), 8200, false))
                    .isInstanceOfSatisfying(
                            NbdException.class, e -> assertThat(e.error()).isEqualTo(Nbd.NBD_EIO));
            assertThatThrownBy(() -> client.write(segment(arena, random(7, 10)), 8200, false))
                    .isInstanceOf(NbdException.class);
            sectors.failAt(-1, 0);
            client.write(segment(arena, random(7, 10)), 8200, false);
            assertThat(Arrays.copyOfRange(sectors.bytes, 8200, 8210)).isEqualTo(random(7, 10));
        }
    }

    /** More at once than there is memory for parts of blocks. */
    @Test
    void manyAtOnceTakeTurns() throws IOException {
        Sectors sectors = new Sectors(SIZE, 4096, 1 << 20);
        Limits many = new Limits(8, 1024, 64 << 20, 10, 64, Duration.ofSeconds(10), 64 << 20);
        try (TestServer server = new TestServer.Builder(directory)
                        .device("disk", sectors)
                        .limits(many)
                        .loops(2)
                        .start();
                NbdClient one = NbdClient.connect(server.uri("disk"));
                NbdClient other = NbdClient.connect(server.uri("disk"));
                Arena arena = Arena.ofShared()) {
            byte[] model = new byte[SIZE];
            List<CompletableFuture<Void>> writes = new ArrayList<>();
            for (int i = 0; i < 2000; i++) {
                byte[] data = random(i, 100);
                int at = i * 101;
                writes.add((i % 2 == 0 ? one : other).writeAsync(segment(arena, data), at, false));
                System.arraycopy(data, 0, model, at, data.length);
            }
            writes.forEach(CompletableFuture::join);
            assertThat(Arrays.mismatch(sectors.bytes, model)).isEqualTo(-1);
            assertThat(sectors.mistakes).isEmpty();
        }
    }
}

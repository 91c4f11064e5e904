package farsight.backend;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.Request.Command;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What every storage promises to the server. A test of a storage extends this and says how to open one, of
 * {@link #SIZE} bytes that read as zeroes.
 */
public abstract class BackendContract {
    /** Bytes of the device under test. */
    protected static final long SIZE = 8 << 20;

    private static final int ROUNDS = 400;

    private Device device;
    private AsyncBlockDevice async;

    /** Where content comes from: the device, or what lies behind one that is read-only. */
    private AsyncBlockDevice writer;

    private Arena arena;

    /** For tests of storage. */
    protected BackendContract() {}

    /** A new device of {@link #SIZE} zeroes. */
    protected abstract Device open() throws IOException;

    /** What lies behind a read-only device, so that there is something to read; null when the device can be written. */
    protected AsyncBlockDevice behind() {
        return null;
    }

    @BeforeEach
    void openDevice() throws IOException {
        arena = Arena.ofShared();
        device = open();
        async = switch (device) {
            case AsyncBlockDevice already -> already;
            case BlockDevice simple -> new Direct(simple);
        };
        AsyncBlockDevice behind = behind();
        writer = behind == null ? async : behind;
        assertThat(device.readOnly()).isEqualTo(behind != null);
    }

    @AfterEach
    void closeDevice() throws IOException {
        if (device != null) {
            device.close();
        }
        arena.close();
    }

    /** Calls a simple device on the caller's thread. */
    private record Direct(BlockDevice device) implements AsyncBlockDevice {
        @Override
        public long size() {
            return device.size();
        }

        @Override
        public java.util.Set<Feature> features() {
            return device.features();
        }

        @Override
        public BlockSizes blockSizes() {
            return device.blockSizes();
        }

        @Override
        public synchronized void submit(Request request) {
            try {
                switch (request.command()) {
                    case READ -> device.read(request.buffer(), request.offset());
                    case WRITE -> device.write(request.buffer(), request.offset());
                    case FLUSH -> device.flush();
                    case TRIM -> device.trim(request.offset(), request.length());
                    case WRITE_ZEROES -> device.zero(request.offset(), request.length(), request.mayTrim());
                    case CACHE -> device.cache(request.offset(), request.length());
                    case EXTENTS -> device.extents(request.offset(), request.length(), request.extents());
                }
            } catch (IOException e) {
                request.fail(Errno.EIO);
                return;
            }
            request.complete();
        }
    }

    private byte[] read(long offset, int length) {
        TestRequest request = TestRequest.read(arena, offset, length);
        assertThat(request.run(async)).as("read at " + offset + " of " + length).isZero();
        return request.buffer().toArray(ValueLayout.JAVA_BYTE);
    }

    private void write(long offset, byte[] bytes) {
        assertThat(TestRequest.write(arena, offset, bytes).run(writer))
                .as("write at " + offset + " of " + bytes.length)
                .isZero();
    }

    /** Trims a range; 0, or the errno that it failed with. */
    protected static int trim(AsyncBlockDevice device, long offset, long length) {
        return TestRequest.of(Command.TRIM, offset, length).run(device);
    }

    private static byte[] random(Random random, int length) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    /** A random range of whole blocks. */
    private long[] range(Random random, int most) {
        int block = device.blockSizes().minimum();
        int length = (1 + random.nextInt(most / block)) * block;
        long offset = random.nextLong((SIZE - length) / block + 1) * block;
        return new long[] {offset, length};
    }

    @Test
    void theSizeIsWhatItWasMadeWith() {
        assertThat(device.size()).isEqualTo(SIZE);
    }

    @Test
    void whatWasNeverWrittenIsZero() {
        assertThat(read(SIZE - 65536, 65536)).containsOnly(0);
    }

    @Test
    void firstAndLastBlockCanBeWritten() {
        int block = Math.max(512, device.blockSizes().minimum());
        byte[] data = random(new Random(1), block);
        write(0, data);
        write(SIZE - block, data);
        assertThat(read(0, block)).isEqualTo(data);
        assertThat(read(SIZE - block, block)).isEqualTo(data);
    }

    @Test
    void randomOperationsGiveWhatAnArrayGives() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        byte[] model = new byte[(int) SIZE];
        boolean zeroes = device.features().contains(Feature.WRITE_ZEROES);
        for (int i = 0; i < ROUNDS; i++) {
            long[] range = range(random, 128 << 10);
            int offset = (int) range[0];
            int length = (int) range[1];
            String what = "seed " + seed + ", round " + i + ", at " + offset + " of " + length;
            switch (random.nextInt(zeroes ? 4 : 3)) {
                case 0, 1 -> {
                    byte[] data = random(random, length);
                    write(offset, data);
                    System.arraycopy(data, 0, model, offset, length);
                }
                case 2 ->
                    assertThat(Arrays.equals(read(offset, length), Arrays.copyOfRange(model, offset, offset + length)))
                            .as(what)
                            .isTrue();
                default -> {
                    TestRequest zero = TestRequest.of(Command.WRITE_ZEROES, offset, length);
                    assertThat((random.nextBoolean() ? zero.trimming() : zero).run(async))
                            .as(what)
                            .isZero();
                    Arrays.fill(model, offset, offset + length, (byte) 0);
                }
            }
        }
        assertThat(Arrays.equals(read(0, (int) SIZE), model)).as("seed " + seed).isTrue();
    }

    @Test
    void requestsOfManyThreadsDoNotMix() throws InterruptedException {
        int threads = 8;
        int each = (int) (SIZE / threads);
        List<Thread> running = new ArrayList<>();
        List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
        for (int t = 0; t < threads; t++) {
            long base = (long) t * each;
            int seed = t;
            running.add(Thread.ofPlatform().start(() -> {
                try {
                    byte[] data = random(new Random(seed), each);
                    int step = 32 << 10;
                    for (int at = 0; at < each; at += step) {
                        write(base + at, Arrays.copyOfRange(data, at, at + step));
                    }
                    assertThat(Arrays.equals(read(base, each), data)).isTrue();
                } catch (Throwable e) {
                    failures.add(e);
                }
            }));
        }
        for (Thread thread : running) {
            thread.join();
        }
        assertThat(failures).isEmpty();
    }

    @Test
    void manyRequestsMayBeUnderWayAndEachCompletesOnce() {
        List<TestRequest> requests = new ArrayList<>();
        Random random = new Random(3);
        for (int i = 0; i < 256; i++) {
            requests.add(TestRequest.write(arena, i * 16384L, random(random, 16384)));
        }
        requests.forEach(writer::submit);
        writer.submitted();
        requests.forEach(request -> assertThat(request.await()).isZero());
        for (TestRequest request : requests) {
            assertThat(read(request.offset(), 16384)).isEqualTo(request.buffer().toArray(ValueLayout.JAVA_BYTE));
        }
        requests.forEach(request -> assertThat(request.completions()).isEqualTo(1));
    }

    @Test
    void aWriteLeavesItsMemoryAsItWas() {
        byte[] data = random(new Random(4), 65536);
        TestRequest request = TestRequest.write(arena, 0, data);
        assertThat(request.run(writer)).isZero();
        assertThat(request.buffer().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(data);
    }

    @Test
    void memoryIsNotTouchedAfterCompletion() {
        byte[] data = random(new Random(5), 65536);
        write(0, data);
        TestRequest first = TestRequest.read(arena, 0, 65536);
        assertThat(first.run(async)).isZero();
        first.buffer().fill((byte) 1);
        write(0, random(new Random(6), 65536));
        read(0, 65536);
        assertThat(first.buffer().toArray(ValueLayout.JAVA_BYTE)).containsOnly(1);
    }

    @Test
    void flushAndStableWritesSucceed() {
        write(4096, random(new Random(7), 4096));
        if (device.features().contains(Feature.FLUSH)) {
            assertThat(TestRequest.of(Command.FLUSH, 0, 0).run(async)).isZero();
        }
        if (device.features().contains(Feature.FUA)) {
            byte[] data = random(new Random(8), 4096);
            assertThat(TestRequest.write(arena, 8192, data).stable().run(async)).isZero();
            assertThat(read(8192, 4096)).isEqualTo(data);
        }
    }

    @Test
    void trimTouchesNothingAroundIt() {
        if (!device.features().contains(Feature.TRIM)) {
            return; // what is not advertised is not promised
        }
        byte[] data = random(new Random(9), 1 << 20);
        write(0, data);
        int block = Math.max(512, device.blockSizes().minimum());
        assertThat(TestRequest.of(Command.TRIM, 64 * 1024 + block, 128 * 1024).run(async))
                .isZero();
        assertThat(read(0, 64 * 1024 + block)).isEqualTo(Arrays.copyOf(data, 64 * 1024 + block));
        int after = 64 * 1024 + block + 128 * 1024;
        assertThat(read(after, (1 << 20) - after)).isEqualTo(Arrays.copyOfRange(data, after, 1 << 20));
    }

    @Test
    void zeroesAreZeroAndTouchNothingAroundThem() {
        if (!device.features().contains(Feature.WRITE_ZEROES)) {
            return; // what is not advertised is not promised
        }
        int block = device.blockSizes().minimum();
        for (boolean mayTrim : new boolean[] {true, false}) {
            byte[] data = random(new Random(10), 1 << 20);
            write(0, data);
            int from = 12288 + block;
            int length = 300 * 1024 + 3 * block;
            TestRequest zero = TestRequest.of(Command.WRITE_ZEROES, from, length);
            assertThat((mayTrim ? zero.trimming() : zero).run(async)).isZero();
            Arrays.fill(data, from, from + length, (byte) 0);
            assertThat(Arrays.equals(read(0, 1 << 20), data))
                    .as("mayTrim " + mayTrim)
                    .isTrue();
        }
    }

    @Test
    void extentsCoverTheRangeAndNeverCallDataZero() {
        if (!device.features().contains(Feature.EXTENTS)) {
            return; // what is not advertised is not promised
        }
        write(1 << 20, random(new Random(11), 1 << 20));
        write(5 << 20, random(new Random(12), 4096));
        long from = 512 << 10;
        long length = SIZE - from;
        List<long[]> seen = new ArrayList<>();
        TestRequest request = new TestRequest(Command.EXTENTS, from, length, null, (bytes, hole, zero) -> {
            seen.add(new long[] {bytes, zero ? 1 : 0});
            return true;
        });
        assertThat(request.run(async)).isZero();
        long at = from;
        for (long[] extent : seen) {
            assertThat(extent[0]).isPositive();
            if (extent[1] == 1) {
                int inside = (int) Math.min(extent[0], SIZE - at);
                assertThat(MemorySegment.ofArray(read(at, inside)).mismatch(MemorySegment.ofArray(new byte[inside])))
                        .as("zeroes at " + at)
                        .isEqualTo(-1);
            }
            at += extent[0];
        }
        assertThat(at).isGreaterThanOrEqualTo(SIZE);
    }
}

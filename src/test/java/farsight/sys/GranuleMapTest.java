package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The map against a set of bits, and from many threads. */
class GranuleMapTest {
    private static final int GRANULE = 512;

    @Test
    void agreesWithASetOfBits() throws ErrnoException {
        Random random = new Random(7);
        for (long size : new long[] {1, 511, 512, 513, 64 * 512, 64 * 512 + 1, 1000 * 512 - 7, 200_000}) {
            int bits = (int) Math.ceilDiv(size, GRANULE);
            BitSet model = new BitSet();
            try (GranuleMap map = new GranuleMap(size, GRANULE)) {
                for (int i = 0; i < 3000; i++) {
                    long offset = random.nextLong(size);
                    long length = random.nextInt(4) == 0
                            ? random.nextLong(size - offset + 1)
                            : random.nextLong(Math.min(2000, size - offset + 1));
                    if (random.nextBoolean()) {
                        map.mark(offset, length);
                        if (length > 0) {
                            model.set((int) (offset / GRANULE), (int) ((offset + length - 1) / GRANULE) + 1);
                        }
                    } else {
                        map.clear(offset, length);
                        int first = (int) Math.ceilDiv(offset, GRANULE);
                        int end = offset + length == size ? bits : (int) ((offset + length) / GRANULE);
                        if (first < end) {
                            model.clear(first, end);
                        }
                    }
                    check(map, model, size, random.nextLong(size), random);
                }
            }
        }
    }

    private static void check(GranuleMap map, BitSet model, long size, long from, Random random) {
        long to = from + 1 + random.nextLong(size - from);
        int bit = (int) (from / GRANULE);
        boolean set = model.get(bit);
        assertThat(map.isMarked(from)).isEqualTo(set);
        long next = set ? model.nextClearBit(bit) : model.nextSetBit(bit);
        long end = next < 0 ? to : Math.min(to, next * GRANULE);
        assertThat(map.run(from, to)).isEqualTo(set ? end - from : from - end);
    }

    @Test
    void whatLiesBeyondIsMarked() throws ErrnoException {
        try (GranuleMap map = new GranuleMap(1000, GRANULE)) {
            assertThat(map.run(1000, 5000)).isEqualTo(4000);
            assertThat(map.isMarked(1000)).isTrue();
            assertThat(map.isMarked(999)).isFalse();
            assertThat(map.run(900, 5000)).isEqualTo(-100);
            map.mark(999, 10_000);
            assertThat(map.run(900, 5000)).isEqualTo(4100);
            map.mark(5000, 1);
            map.clear(0, 10_000);
            assertThat(map.run(0, 1000)).isEqualTo(-1000);
        }
    }

    @Test
    void hugeRangesTakeNoMemoryAndNoTime() throws ErrnoException {
        try (GranuleMap map = new GranuleMap(1L << 46, 64 << 10)) {
            long last = (1L << 46) - 1;
            map.mark(last, 1);
            assertThat(map.run(last, last + 1)).isEqualTo(1);
            assertThat(map.run(last - (1L << 30), last + 1)).isEqualTo(-((1L << 30) - (64 << 10) + 1));
        }
    }

    @Test
    void threadsDoNotLoseEachOthersBits() throws Exception {
        try (GranuleMap map = new GranuleMap(64 * GRANULE, GRANULE)) {
            Thread[] threads = new Thread[4];
            for (int t = 0; t < threads.length; t++) {
                int mine = t;
                threads[t] = new Thread(() -> {
                    for (int round = 0; round < 50_000; round++) {
                        for (int bit = mine; bit < 64; bit += 16) {
                            map.clear(bit * GRANULE, GRANULE);
                            map.mark(bit * GRANULE, GRANULE);
                        }
                    }
                });
                threads[t].start();
            }
            for (Thread thread : threads) {
                thread.join();
            }
            for (int bit = 0; bit < 64; bit++) {
                long run = map.run(bit * GRANULE, (bit + 1) * GRANULE);
                assertThat(run).isEqualTo(bit % 16 < threads.length ? GRANULE : -GRANULE);
            }
        }
    }
}

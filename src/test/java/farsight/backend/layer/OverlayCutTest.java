package farsight.backend.layer;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * An overlay whose server, or whose machine, ended between any two writes, or in one: all that was flushed is there, and
 * each sector is as it was flushed or as something that was written later.
 */
class OverlayCutTest {
    private static final int SECTOR = 512;
    private static final int BLOCK = 4096;
    private static final int SIZE = 40 * BLOCK + 1024;

    @TempDir
    Path directory;

    /** A change of the file: {@code bytes} is null for a hole and for a size. */
    private record Change(long offset, long length, byte[] bytes, boolean size) {}

    /** The file of an overlay in memory, which remembers what was done to it; null stands for a sync. */
    private static final class Journal implements Disk {
        private final List<Change> changes = new ArrayList<>();
        private byte[] content = new byte[0];

        static Journal of(byte[] content) {
            Journal journal = new Journal();
            journal.content = content;
            return journal;
        }

        private void change(Change change) {
            changes.add(change);
            content = apply(content, change);
        }

        @Override
        public long size() {
            return content.length;
        }

        @Override
        public void read(MemorySegment target, long offset) {
            MemorySegment.copy(MemorySegment.ofArray(content), offset, target, 0, target.byteSize());
        }

        @Override
        public void write(MemorySegment source, long offset) {
            change(new Change(offset, source.byteSize(), source.toArray(ValueLayout.JAVA_BYTE), false));
        }

        @Override
        public void punch(long offset, long length) {
            change(new Change(offset, length, null, false));
        }

        @Override
        public void truncate(long size) {
            change(new Change(size, 0, null, true));
        }

        @Override
        public void sync() {
            changes.add(null);
        }

        @Override
        public long data(long offset) {
            return offset;
        }

        @Override
        public long hole(long offset) {
            return content.length;
        }

        @Override
        public void close() {}
    }

    private static byte[] apply(byte[] content, Change change) {
        if (change.size) {
            return Arrays.copyOf(content, (int) change.offset);
        }
        int end = (int) (change.offset + change.length);
        byte[] result = content.length < end ? Arrays.copyOf(content, end) : content;
        if (change.bytes == null) {
            Arrays.fill(result, (int) change.offset, end, (byte) 0);
        } else {
            System.arraycopy(change.bytes, 0, result, (int) change.offset, change.bytes.length);
        }
        return result;
    }

    /** What the sectors of the disk may be, at a number of changes: the values since the last flush. */
    private record Moment(int changes, byte[] flushed, List<byte[]> since) {}

    private static byte[] base() {
        byte[] base = new byte[SIZE];
        new Random(99).nextBytes(base);
        return base;
    }

    private OverlayLayer over(Journal journal, boolean fresh) throws IOException {
        OverlayFile file = fresh ? OverlayFile.create(journal, SIZE, BLOCK, "base") : OverlayFile.open(journal, "cut");
        Path path = directory.resolve("base.img");
        java.nio.file.Files.write(path, base());
        return new OverlayLayer(file, LayersTest.file(path, SIZE), false);
    }

    /** Random writes, zeroes and flushes, with a moment for each. */
    private List<Moment> run(Journal journal, Random random) throws IOException {
        List<Moment> moments = new ArrayList<>();
        byte[] now = base();
        byte[] flushed = now.clone();
        List<byte[]> since = new ArrayList<>();
        try (OverlayLayer overlay = over(journal, true);
                Arena arena = Arena.ofConfined()) {
            moments.add(new Moment(journal.changes.size(), flushed, List.of()));
            for (int i = 0; i < 60; i++) {
                int offset = random.nextInt(SIZE / SECTOR - 24) * SECTOR;
                int length = (1 + random.nextInt(24)) * SECTOR;
                int before = journal.changes.size();
                switch (random.nextInt(8)) {
                    case 0, 1 -> {
                        overlay.flush();
                        // Until it has returned, it promises nothing.
                        moments.add(new Moment(journal.changes.size() - 1, flushed, List.copyOf(since)));
                        flushed = now.clone();
                        since.clear();
                    }
                    case 2 -> {
                        overlay.zero(offset, length, random.nextBoolean());
                        Arrays.fill(now, offset, offset + length, (byte) 0);
                        since.add(now.clone());
                    }
                    default -> {
                        byte[] data = new byte[length];
                        random.nextBytes(data);
                        overlay.write(arena.allocate(length).copyFrom(MemorySegment.ofArray(data)), offset);
                        System.arraycopy(data, 0, now, offset, length);
                        since.add(now.clone());
                    }
                }
                assertThat(journal.changes.size()).isGreaterThanOrEqualTo(before);
                moments.add(new Moment(journal.changes.size(), flushed, List.copyOf(since)));
            }
        }
        return moments;
    }

    private void check(byte[] content, Moment moment, String what) throws IOException {
        if (content.length == 0) {
            return; // an empty file becomes an overlay when it is opened
        }
        byte[] seen;
        try (OverlayLayer overlay = over(Journal.of(content), false);
                Arena arena = Arena.ofConfined()) {
            MemorySegment all = arena.allocate(SIZE);
            overlay.read(all, 0);
            seen = all.toArray(ValueLayout.JAVA_BYTE);
        }
        for (int at = 0; at < SIZE; at += SECTOR) {
            int from = at;
            boolean known = Arrays.equals(seen, from, from + SECTOR, moment.flushed, from, from + SECTOR)
                    || moment.since.stream()
                            .anyMatch(later -> Arrays.equals(seen, from, from + SECTOR, later, from, from + SECTOR));
            assertThat(known).as(what + ": sector at " + at).isTrue();
        }
    }

    /** The state of the disk that a cut falls into: the first one that ends at it or after it. */
    private static Moment at(List<Moment> moments, int changes) {
        return moments.stream()
                .filter(moment -> moment.changes >= changes)
                .findFirst()
                .orElseThrow();
    }

    @Test
    void everyPrefixOfItsWritesIsAnOverlayWithAllThatWasFlushed() throws IOException {
        long seed = System.nanoTime();
        Journal journal = new Journal();
        List<Moment> moments = run(journal, new Random(seed));
        int last = moments.getLast().changes;
        byte[] content = new byte[0];
        for (int cut = 0; cut <= last; cut++) {
            check(content.clone(), at(moments, cut), "seed " + seed + ", cut " + cut + " of " + last);
            if (cut < last && journal.changes.get(cut) != null) {
                content = apply(content, journal.changes.get(cut));
            }
        }
        assertThat(last).isGreaterThan(50);
    }

    /** A machine without power keeps what was synced, and any sectors of the rest. */
    @Test
    void tornWritesAfterTheLastSyncHarmNothingThatWasFlushed() throws IOException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        Journal journal = new Journal();
        List<Moment> moments = run(journal, random);
        int first = moments.getFirst().changes;
        int last = moments.getLast().changes;
        for (int cut = first; cut <= last; cut++) {
            int synced = cut;
            while (synced > 0 && journal.changes.get(synced - 1) != null) {
                synced--;
            }
            for (int round = 0; round < 3; round++) {
                byte[] content = new byte[0];
                for (int i = 0; i < cut; i++) {
                    Change change = journal.changes.get(i);
                    if (change != null) {
                        content = i < synced || change.size ? apply(content, change) : torn(content, change, random);
                    }
                }
                check(content, at(moments, cut), "seed " + seed + ", cut " + cut + " torn after " + synced);
            }
        }
    }

    private static byte[] torn(byte[] content, Change change, Random random) {
        byte[] result = content;
        BitSet kept = BitSet.valueOf(new long[] {random.nextLong(), random.nextLong()});
        for (int at = 0; at < change.length; at += SECTOR) {
            if (kept.get(at / SECTOR % 128)) {
                int length = (int) Math.min(SECTOR, change.length - at);
                byte[] part = change.bytes == null ? null : Arrays.copyOfRange(change.bytes, at, at + length);
                result = apply(result, new Change(change.offset + at, length, part, false));
            }
        }
        return result;
    }
}

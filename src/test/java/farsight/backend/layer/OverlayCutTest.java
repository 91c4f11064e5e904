package farsight.backend.layer;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.layer.Journal.Change;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * An overlay whose server, or whose machine, ended between any two writes, or in one: all that was flushed is there, and
 * each sector is as it was flushed or as something that was written later.
 */
class OverlayCutTest {
    private static final int SECTOR = Journal.SECTOR;
    private static final int BLOCK = 4096;
    private static final int SIZE = 40 * BLOCK + 1024;

    @TempDir
    Path directory;

    /** What the sectors of the disk may be, at a number of changes: the values since the last flush. */
    private record Moment(int changes, byte[] flushed, List<byte[]> since) {}

    private static byte[] base() {
        byte[] base = new byte[SIZE];
        new Random(99).nextBytes(base);
        return base;
    }

    private OverlayLayer over(Disk journal, byte[] below) throws IOException {
        Path path = directory.resolve("base.img");
        Files.write(path, below);
        OverlayFile file = OverlayFile.openOrCreate(journal, SIZE, BLOCK, "base", "cut");
        return new OverlayLayer(file, LayersTest.file(path, SIZE), false);
    }

    private static byte[] read(OverlayLayer overlay) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment all = arena.allocate(SIZE);
            overlay.read(all, 0);
            return all.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    private static byte[] random(Random random, int length) {
        byte[] data = new byte[length];
        random.nextBytes(data);
        return data;
    }

    /** Random writes, zeroes, trims and flushes, with a moment for each. */
    private List<Moment> run(Journal journal, List<Change> history, Random random) throws IOException {
        List<Moment> moments = new ArrayList<>();
        byte[] now = base();
        byte[] flushed = now.clone();
        List<byte[]> since = new ArrayList<>();
        try (OverlayLayer overlay = over(journal, base());
                Arena arena = Arena.ofConfined()) {
            moments.add(new Moment(history.size(), flushed, List.of()));
            for (int i = 0; i < 80; i++) {
                int offset = random.nextInt(SIZE / SECTOR - 24) * SECTOR;
                int length = (1 + random.nextInt(24)) * SECTOR;
                switch (random.nextInt(10)) {
                    case 0, 1 -> {
                        overlay.flush();
                        // Until it has returned, it promises nothing.
                        moments.add(new Moment(history.size() - 1, flushed, List.copyOf(since)));
                        flushed = now.clone();
                        since.clear();
                    }
                    case 2, 3 -> {
                        overlay.zero(offset, length, random.nextBoolean());
                        Arrays.fill(now, offset, offset + length, (byte) 0);
                        since.add(now.clone());
                    }
                    case 4, 5 -> {
                        overlay.trim(offset, Math.min(SIZE - offset, 4L * length));
                        trimmed(now, read(overlay), offset, Math.min(SIZE, offset + 4 * length));
                        since.add(now.clone());
                    }
                    default -> {
                        byte[] data = random(random, length);
                        overlay.write(arena.allocate(length).copyFrom(MemorySegment.ofArray(data)), offset);
                        System.arraycopy(data, 0, now, offset, length);
                        since.add(now.clone());
                    }
                }
                moments.add(new Moment(history.size(), flushed, List.copyOf(since)));
            }
        }
        return moments;
    }

    /** What a trim leaves: within its range zeroes or what was there, as it likes; outside all as it was. */
    private static void trimmed(byte[] now, byte[] seen, int from, int end) {
        for (int at = from; at < end; at += SECTOR) {
            if (Arrays.equals(seen, at, at + SECTOR, new byte[SECTOR], 0, SECTOR)) {
                Arrays.fill(now, at, at + SECTOR, (byte) 0);
            }
        }
        assertThat(seen).as("what a trim left").isEqualTo(now);
    }

    private void check(byte[] content, Moment moment, String what) throws IOException {
        byte[] seen;
        try (OverlayLayer overlay = over(Journal.of(content), base())) {
            seen = read(overlay);
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
        List<Change> history = new ArrayList<>();
        Journal journal = new Journal(history, new byte[0]);
        List<Moment> moments = run(journal, history, new Random(seed));
        int last = moments.getLast().changes;
        for (int cut = 0; cut <= last; cut++) {
            check(journal.cut(cut, null), at(moments, cut), "seed " + seed + ", cut " + cut + " of " + last);
        }
        assertThat(last).isGreaterThan(50);
    }

    /** A machine without power keeps what was synced, and any sectors of the rest. */
    @Test
    void tornWritesAfterTheLastSyncHarmNothingThatWasFlushed() throws IOException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        List<Change> history = new ArrayList<>();
        Journal journal = new Journal(history, new byte[0]);
        List<Moment> moments = run(journal, history, random);
        int last = moments.getLast().changes;
        for (int cut = 0; cut <= last; cut++) {
            for (int round = 0; round < 3; round++) {
                check(journal.cut(cut, random), at(moments, cut), "seed " + seed + ", torn at " + cut);
            }
        }
    }

    // ---- commit and discard --------------------------------------------------------------------------------------

    /** An overlay with something in it, all flushed, and the image below it, in one history. */
    private final class Stack {
        final List<Change> history = new ArrayList<>();
        final Journal cow = new Journal(history, new byte[0]);
        final Journal image = new Journal(history, base());
        final byte[] written;

        Stack(Random random) throws IOException {
            run(cow, history, random);
            try (OverlayLayer overlay = over(cow, base())) {
                written = read(overlay);
            }
            assertThat(written).isNotEqualTo(base());
        }

        OverlayFile open() throws IOException {
            return OverlayFile.open(cow, "cut");
        }
    }

    @Test
    void aCommitCutAnywhereShowsTheSameAndIsDoneByAnother() throws IOException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        Stack stack = new Stack(random);
        int first = stack.history.size();
        long blocks;
        try (OverlayFile file = stack.open()) {
            blocks = OverlayCare.commit(file, stack.image);
        }
        assertThat(blocks).isPositive();
        assertThat(stack.image.content()).isEqualTo(stack.written);
        int last = stack.history.size();
        for (int cut = first; cut <= last; cut++) {
            for (int round = 0; round < 4; round++) {
                Random torn = round == 0 ? null : random;
                String what = "seed " + seed + ", cut " + cut + " of " + first + " to " + last + ", round " + round;
                Journal cow = Journal.of(stack.cow.cut(cut, torn));
                Journal image = Journal.of(stack.image.cut(cut, torn));
                try (OverlayLayer overlay = over(Journal.of(cow.content()), image.content())) {
                    assertThat(read(overlay)).as(what).isEqualTo(stack.written);
                }
                try (OverlayFile file = OverlayFile.open(cow, "cut")) {
                    OverlayCare.commit(file, image);
                    assertThat(file.count()).isZero();
                }
                assertThat(image.content()).as(what + ", done again").isEqualTo(stack.written);
                try (OverlayLayer overlay = over(cow, image.content())) {
                    assertThat(read(overlay)).as(what + ", opened then").isEqualTo(stack.written);
                }
            }
        }
        assertThat(last - first).isGreaterThan((int) blocks);
    }

    /** Half of what was written, over what is below, would be a file system that never was. */
    @Test
    void aDiscardCutAnywhereForgetsAllOrNothing() throws IOException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        Stack stack = new Stack(random);
        int first = stack.history.size();
        try (OverlayFile file = stack.open()) {
            file.clear();
        }
        int last = stack.history.size();
        int kept = 0;
        int forgotten = 0;
        for (int cut = first; cut <= last; cut++) {
            for (int round = 0; round < 20; round++) {
                String what = "seed " + seed + ", cut " + cut + " of " + first + " to " + last + ", round " + round;
                Journal cow = Journal.of(stack.cow.cut(cut, round == 0 ? null : random));
                byte[] seen;
                try (OverlayLayer overlay = over(cow, base())) {
                    seen = read(overlay);
                }
                boolean all = Arrays.equals(seen, stack.written);
                assertThat(all || Arrays.equals(seen, base())).as(what).isTrue();
                kept += all ? 1 : 0;
                forgotten += all ? 0 : 1;
                try (OverlayFile file = OverlayFile.open(cow, "cut")) {
                    file.clear();
                }
                try (OverlayLayer overlay = over(cow, base())) {
                    assertThat(read(overlay)).as(what + ", done again").isEqualTo(base());
                }
            }
        }
        assertThat(kept).isPositive();
        assertThat(forgotten).isPositive();
    }

    /** The bits of a large overlay are in several sectors, of which a machine's end may leave any. */
    @Test
    void aDiscardTornWithinTheBitmapForgetsAllOrNothing() throws IOException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        long far = 8L * SECTOR + 1;
        List<Change> history = new ArrayList<>();
        Journal cow = new Journal(history, new byte[0]);
        int first;
        try (OverlayFile file = OverlayFile.openOrCreate(cow, (far + 1) * BLOCK, BLOCK, "base", "cut")) {
            file.add(0);
            file.add(far);
            file.flush();
            first = history.size();
            file.clear();
        }
        for (int cut = first; cut <= history.size(); cut++) {
            for (int round = 0; round < 12; round++) {
                try (OverlayFile file = OverlayFile.open(Journal.of(cow.cut(cut, random)), "cut")) {
                    String what = "seed " + seed + ", cut " + cut + " from " + first;
                    assertThat(file.has(0)).as(what).isEqualTo(file.has(far));
                    assertThat(file.has(0) || cut > first).as(what).isTrue();
                }
            }
        }
    }

    /** What is opened to be read only is not changed, also when something was cut short in it. */
    @Test
    void aDiscardCutShortIsNotFinishedByWhoOnlyReads() throws IOException {
        Stack stack = new Stack(new Random(3));
        int first = stack.history.size();
        try (OverlayFile file = stack.open()) {
            file.clear();
        }
        for (int cut = first; cut <= stack.history.size(); cut++) {
            byte[] content = stack.cow.cut(cut, null);
            List<Change> changes = new ArrayList<>();
            Journal journal = new Journal(changes, content);
            try (OverlayFile file = OverlayFile.open(journal, "cut", false)) {
                assertThat(file.count() > 0).as("cut " + cut).isEqualTo(cut == first);
            }
            assertThat(changes).isEmpty();
        }
    }
}

package farsight.backend.layer;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;

/** A file in memory that remembers what was done to it, so that all of it can be had again up to any point. */
final class Journal implements Disk {
    static final int SECTOR = 512;

    enum Kind {
        WRITE,
        PUNCH,
        SIZE,
        SYNC
    }

    /** What was done to one of the files. A size is in {@code offset}. */
    record Change(Journal disk, Kind kind, long offset, long length, byte[] bytes) {
        private byte[] to(byte[] content) {
            return switch (kind) {
                case SYNC -> content;
                case SIZE -> Arrays.copyOf(content, (int) offset);
                case PUNCH -> put(content, (int) offset, new byte[(int) length], (int) length);
                case WRITE -> put(content, (int) offset, bytes, (int) length);
            };
        }

        /** Some of its sectors. */
        private byte[] partly(byte[] content, Random random) {
            if (kind == Kind.SIZE) {
                return to(content);
            }
            byte[] result = content;
            BitSet kept = BitSet.valueOf(new long[] {random.nextLong(), random.nextLong()});
            for (int at = 0; at < length; at += SECTOR) {
                if (kept.get(at / SECTOR % 128)) {
                    int part = (int) Math.min(SECTOR, length - at);
                    byte[] data = bytes == null ? new byte[part] : Arrays.copyOfRange(bytes, at, at + part);
                    result = put(result, (int) offset + at, data, part);
                }
            }
            return result;
        }

        private static byte[] put(byte[] content, int offset, byte[] data, int length) {
            byte[] result = content.length < offset + length ? Arrays.copyOf(content, offset + length) : content;
            System.arraycopy(data, 0, result, offset, length);
            return result;
        }
    }

    /** What was done to all files that share it. */
    private final List<Change> history;

    private final byte[] start;
    private byte[] content;

    Journal(List<Change> history, byte[] start) {
        this.history = history;
        this.start = start;
        content = start.clone();
    }

    static Journal of(byte[] content) {
        return new Journal(new ArrayList<>(), content);
    }

    byte[] content() {
        return content;
    }

    /**
     * This file when all ended after so many changes.
     *
     * @param random null when a process ended; otherwise it is a machine: what no sync has followed is there in part
     */
    byte[] cut(int changes, Random random) {
        int synced = random == null ? changes : 0;
        for (int i = 0; i < changes; i++) {
            if (history.get(i).disk == this && history.get(i).kind == Kind.SYNC) {
                synced = Math.max(synced, i);
            }
        }
        byte[] result = start.clone();
        for (int i = 0; i < changes; i++) {
            Change change = history.get(i);
            if (change.disk == this) {
                result = i < synced ? change.to(result) : change.partly(result, random);
            }
        }
        return result;
    }

    private void change(Kind kind, long offset, long length, byte[] bytes) {
        Change change = new Change(this, kind, offset, length, bytes);
        history.add(change);
        content = change.to(content);
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
        change(Kind.WRITE, offset, source.byteSize(), source.toArray(ValueLayout.JAVA_BYTE));
    }

    @Override
    public void punch(long offset, long length) {
        change(Kind.PUNCH, offset, length, null);
    }

    @Override
    public void truncate(long size) {
        change(Kind.SIZE, size, 0, null);
    }

    @Override
    public void sync() {
        change(Kind.SYNC, 0, 0, null);
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

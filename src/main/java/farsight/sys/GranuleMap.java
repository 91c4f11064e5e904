package farsight.sys;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/**
 * One bit for each granule of a range, off-heap and sparse: bits that were never set take no memory. Offsets and lengths
 * are in bytes; what lies beyond the size that it was made for counts as marked. Lock-free, any thread.
 */
public final class GranuleMap implements AutoCloseable {
    private static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle();

    private final long size;
    private final int shift;
    private final MemorySegment words;

    /**
     * @param size bytes that it stands for
     * @param granule bytes that one bit stands for, a power of two
     * @throws ErrnoException ENOMEM when the address space or a limit forbids it
     */
    public GranuleMap(long size, long granule) throws ErrnoException {
        if (Long.bitCount(granule) != 1) {
            throw new IllegalArgumentException("a granule of " + granule + " bytes is not a power of two");
        }
        this.size = size;
        shift = Long.numberOfTrailingZeros(granule);
        long bits = Math.ceilDiv(Math.max(size, 1), granule);
        words = Memory.map(Math.ceilDiv(bits, Long.SIZE) * Long.BYTES);
    }

    public long granule() {
        return 1L << shift;
    }

    /** Marks every granule that a range touches. */
    public void mark(long offset, long length) {
        long end = Math.min(offset + length, size);
        if (offset >= end) {
            return;
        }
        // What the caller did to the range comes before, also where the bits need no change.
        VarHandle.fullFence();
        change(offset >>> shift, ((end - 1) >>> shift) + 1, true);
    }

    /** Whether the granule of an offset is marked. */
    public boolean isMarked(long offset) {
        long bit = offset >>> shift;
        return offset >= size || (word(bit) >>> bit & 1) != 0;
    }

    /** Clears every granule that lies wholly within a range; the last one may be cut by the end. */
    public void clear(long offset, long length) {
        long first = Math.ceilDiv(offset, granule());
        long end = offset + length >= size ? Math.ceilDiv(size, granule()) : (offset + length) >>> shift;
        if (first < end) {
            change(first, end, false);
        }
        VarHandle.fullFence();
    }

    private void change(long first, long end, boolean set) {
        long bit = first;
        while (bit < end) {
            long at = bit / Long.SIZE * Long.BYTES;
            long next = Math.min((bit / Long.SIZE + 1) * Long.SIZE, end);
            long mask = (-1L << bit) & (-1L >>> -next);
            long old = word(bit);
            // A word that is right already is not written, so that it stays shared, and unmapped.
            if (set && (old & mask) != mask) {
                WORD.getAndBitwiseOr(words, at, mask);
            } else if (!set && (old & mask) != 0) {
                WORD.getAndBitwiseAnd(words, at, ~mask);
            }
            bit = next;
        }
    }

    /**
     * How far from {@code offset} on granules are as the first one: up to {@code end}, which is beyond {@code offset}.
     *
     * @return bytes; negative when they are not marked
     */
    public long run(long offset, long end) {
        if (offset >= size) {
            return end - offset;
        }
        long bit = offset >>> shift;
        long last = (Math.min(end, size) - 1) >>> shift;
        long word = word(bit);
        boolean marked = (word >>> bit & 1) != 0;
        while (true) {
            long different = (marked ? ~word : word) >>> bit;
            if (different != 0) {
                bit += Long.numberOfTrailingZeros(different);
                break;
            }
            bit = (bit / Long.SIZE + 1) * Long.SIZE;
            if (bit > last) {
                break;
            }
            word = word(bit);
        }
        long stop = bit <= last ? bit << shift : marked ? end : Math.min(end, size);
        return marked ? stop - offset : offset - stop;
    }

    private long word(long bit) {
        return (long) WORD.getVolatile(words, bit / Long.SIZE * Long.BYTES);
    }

    @Override
    public void close() {
        Memory.unmap(words);
    }
}

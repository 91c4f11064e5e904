package farsight.buffer;

import farsight.sys.ErrnoException;
import farsight.sys.Memory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;

/**
 * Buffers of 4 KiB to 1 MiB, each a power of two and aligned to a page, from one mapping whose size is the limit. Memory
 * becomes real when it is first used. One thread: the loop that owns it.
 */
public final class Pool implements AutoCloseable {
    public static final int SMALLEST = 4 << 10;
    public static final int LARGEST = 1 << 20;

    private static final int FIRST_CLASS = Integer.numberOfTrailingZeros(SMALLEST);

    private final MemorySegment mapping;
    private final Buffer[] free = new Buffer[Integer.numberOfTrailingZeros(LARGEST) - FIRST_CLASS + 1];
    private long used;
    private int inUse;
    private final ArrayDeque<Runnable> waiters = new ArrayDeque<>();

    /** @param limit bytes, rounded up to a multiple of {@link #LARGEST} */
    public Pool(long limit) throws ErrnoException {
        mapping = Memory.map(Math.ceilDiv(limit, LARGEST) * LARGEST);
    }

    /**
     * A buffer of at least {@code bytes}, with the caller as its one owner; null when the limit is reached.
     *
     * @param bytes at most {@link #LARGEST}
     */
    public Buffer take(int bytes) {
        int index = index(bytes);
        if (free[index] == null && !grow(index)) {
            // Nothing is left to cut buffers of this size from: a larger one does as well.
            do {
                if (++index == free.length) {
                    return null;
                }
            } while (free[index] == null);
        }
        Buffer buffer = free[index];
        free[index] = buffer.next;
        buffer.next = null;
        buffer.taken();
        inUse++;
        return buffer;
    }

    /**
     * The largest buffer that is to be had up to a size, so that whoever can work in pieces always gets on as long as any
     * buffer is free; null when there is none of at least {@code least} bytes.
     */
    public Buffer takeUpTo(int bytes, int least) {
        Buffer buffer = take(bytes);
        int smaller = SMALLEST << index(bytes);
        while (buffer == null && (smaller >>= 1) >= Math.max(least, SMALLEST)) {
            buffer = take(smaller);
        }
        return buffer;
    }

    /** How many buffers are out. */
    public int inUse() {
        return inUse;
    }

    /** Bytes of the mapping that were ever used. */
    public long reserved() {
        return used;
    }

    /** What to run once when a buffer comes back, for those who got none; in the order of their asking. */
    public void onRelease(Runnable task) {
        waiters.add(task);
    }

    private static int index(int bytes) {
        if (bytes < 0 || bytes > LARGEST) {
            throw new IllegalArgumentException("a buffer of " + bytes + " bytes; the largest is " + LARGEST);
        }
        int bits = 32 - Integer.numberOfLeadingZeros(Math.max(bytes, SMALLEST) - 1);
        return bits - FIRST_CLASS;
    }

    /** Cuts one more MiB of the mapping into buffers of a class. */
    private boolean grow(int index) {
        if (used + LARGEST > mapping.byteSize()) {
            return false;
        }
        int size = SMALLEST << index;
        for (long at = used + LARGEST - size; at >= used; at -= size) {
            Buffer buffer = new Buffer(this, mapping.asSlice(at, size));
            buffer.next = free[index];
            free[index] = buffer;
        }
        used += LARGEST;
        return true;
    }

    void giveBack(Buffer buffer) {
        int index = index(buffer.capacity());
        buffer.next = free[index];
        free[index] = buffer;
        inUse--;
        if (!waiters.isEmpty()) {
            waiters.poll().run();
        }
    }

    /** Unmaps everything. No buffer may be out, or native code may still write into it. */
    @Override
    public void close() {
        if (inUse != 0) {
            throw new IllegalStateException(inUse + " buffers of the pool are still in use");
        }
        Memory.unmap(mapping);
    }
}

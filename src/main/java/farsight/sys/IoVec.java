package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.iovec;
import farsight.bindings.linux.msghdr;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Pieces of memory for one gathered send or scattered receive (struct iovec behind a struct msghdr). Holds addresses
 * only: whoever adds a piece keeps its memory alive until the call that uses it has returned. One thread.
 */
public final class IoVec implements AutoCloseable {
    /** The most pieces that the kernel takes in one call (IOV_MAX, readv(2)). */
    public static final int MAX_PIECES = Linux.UIO_MAXIOV();

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final long SIZE = iovec.layout().byteSize();
    private static final long BASE = iovec.iov_base$offset();
    private static final long LENGTH = iovec.iov_len$offset();
    private static final long PIECES = msghdr.msg_iov$offset();
    private static final long COUNT = msghdr.msg_iovlen$offset();

    private final Arena arena;
    private final MemorySegment pieces;
    private final MemorySegment message;
    private final int capacity;
    private int first;
    private int end;
    private long bytes;

    /** @param capacity pieces, at most {@link #MAX_PIECES} */
    public IoVec(int capacity) {
        if (capacity < 1 || capacity > MAX_PIECES) {
            throw new IllegalArgumentException("an I/O vector of " + capacity + " pieces, not 1 to " + MAX_PIECES);
        }
        this.capacity = capacity;
        arena = Arena.ofShared();
        pieces = arena.allocate(SIZE * capacity, 8);
        message = arena.allocate(msghdr.layout());
    }

    public boolean isEmpty() {
        return first == end;
    }

    public boolean isFull() {
        return end == capacity;
    }

    /** How many pieces still fit. */
    public int room() {
        return capacity - end;
    }

    /** Pieces that are not used up. */
    public int count() {
        return end - first;
    }

    /** Sum of the pieces that are not used up. */
    public long bytes() {
        return bytes;
    }

    public void clear() {
        first = 0;
        end = 0;
        bytes = 0;
    }

    /** Appends a piece; one that continues the last is joined to it. The vector is not full. */
    public void add(long address, long length) {
        assert length > 0;
        bytes += length;
        if (end > first) {
            long last = (end - 1) * SIZE;
            long lastLength = pieces.get(LONG, last + LENGTH);
            if (pieces.get(LONG, last + BASE) + lastLength == address) {
                pieces.set(LONG, last + LENGTH, lastLength + length);
                return;
            }
        }
        pieces.set(LONG, end * SIZE + BASE, address);
        pieces.set(LONG, end * SIZE + LENGTH, length);
        end++;
    }

    /** Copies from the front to other memory, and takes that off; how many bytes. */
    public int take(long target, int most) {
        int taken = 0;
        while (taken < most && first < end) {
            long at = first * SIZE;
            int step = (int) Math.min(pieces.get(LONG, at + LENGTH), most - taken);
            Native.copy(pieces.get(LONG, at + BASE), target + taken, step);
            taken += step;
            advance(step);
        }
        return taken;
    }

    /** Takes {@code used} bytes off the front, as a short send or receive does. */
    public void advance(long used) {
        assert used <= bytes;
        bytes -= used;
        long left = used;
        while (left > 0) {
            long at = first * SIZE;
            long length = pieces.get(LONG, at + LENGTH);
            if (left < length) {
                pieces.set(LONG, at + BASE, pieces.get(LONG, at + BASE) + left);
                pieces.set(LONG, at + LENGTH, length - left);
                return;
            }
            left -= length;
            first++;
        }
        if (first == end) {
            clear();
        }
    }

    /** Address of the first unused struct iovec. */
    long address() {
        return pieces.address() + first * SIZE;
    }

    /** Address of a struct msghdr with the unused pieces. */
    long message() {
        message.set(LONG, PIECES, address());
        message.set(LONG, COUNT, count());
        return message.address();
    }

    @Override
    public void close() {
        arena.close();
    }
}

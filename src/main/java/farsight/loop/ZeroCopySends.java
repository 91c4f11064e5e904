package farsight.loop;

import farsight.buffer.Buffer;
import farsight.sys.ErrorQueue;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The sends of one socket that the system does without a copy, from memory that it uses until the peer has acknowledged
 * it. Such memory is held here until the socket's error queue says so. Loop thread only.
 */
final class ZeroCopySends {
    /** What is too little for the system's work of finding the pages and of telling when it is done with them. */
    private static final long LEAST_BYTES = 64 << 10;

    private static final long LEAST_PIECE = 16 << 10;

    /** Bytes of buffers that wait, before the last send: slow clients get no more of the loop's memory. */
    private static final long MOST_HELD = 4 << 20;

    /** Numbers of sends, modulo 2^32: the next one, and the first that is not over. */
    private int next;

    private int over;

    /** Further ones that are over, first and last, when an earlier one is not. */
    private final List<int[]> early = new ArrayList<>(0);

    private Buffer[] held = new Buffer[8];
    private int[] heldFor = new int[8];
    private int oldest;
    private int count;
    private long heldBytes;
    private final boolean always;
    private boolean useless;

    /** @param always whether to go on when the system says that it copies */
    ZeroCopySends(boolean always) {
        this.always = always;
    }

    /** Whether sends should still be made so. */
    boolean wanted() {
        return !useless && heldBytes < MOST_HELD;
    }

    /** Whether one is worth it. */
    boolean suits(long bytes, int pieces) {
        return bytes >= LEAST_BYTES && bytes / pieces >= LEAST_PIECE && wanted();
    }

    /** One was made. */
    void sent() {
        next++;
    }

    /** Whether the system still uses memory. */
    boolean outstanding() {
        return next != over;
    }

    /** Bytes of buffers that wait. */
    long heldBytes() {
        return heldBytes;
    }

    /** Lets go of memory that was sent from: as soon as all sends until now are over. */
    void release(Buffer buffer) {
        if (!outstanding()) {
            buffer.release();
            return;
        }
        if (count == held.length) {
            grow();
        }
        int at = (oldest + count++) & held.length - 1;
        held[at] = buffer;
        heldBytes += buffer.capacity();
        heldFor[at] = next - 1;
    }

    private void grow() {
        Buffer[] buffers = new Buffer[count * 2];
        int[] numbers = new int[count * 2];
        for (int i = 0; i < count; i++) {
            buffers[i] = held[(oldest + i) & count - 1];
            numbers[i] = heldFor[(oldest + i) & count - 1];
        }
        held = buffers;
        heldFor = numbers;
        oldest = 0;
    }

    /** Something was taken off the socket's queue. */
    void told(ErrorQueue queue) {
        useless |= queue.copied() && !always;
        over(queue.first(), queue.last());
    }

    void over(int first, int last) {
        if (first != over) {
            early.add(new int[] {first, last});
            return;
        }
        over = last + 1;
        for (boolean more = !early.isEmpty(); more; ) {
            more = early.removeIf(range -> {
                boolean following = range[0] == over;
                if (following) {
                    over = range[1] + 1;
                }
                return following;
            });
        }
        while (count > 0 && heldFor[oldest] - over < 0) {
            count--;
            Buffer buffer = held[oldest];
            held[oldest] = null;
            oldest = oldest + 1 & held.length - 1;
            heldBytes -= buffer.capacity();
            buffer.release();
        }
    }

    /** The memory goes back although it may be in use: only when nobody uses the pool again. */
    void releaseAll() {
        over = next;
        for (; count > 0; count--) {
            heldBytes -= held[oldest].capacity();
            held[oldest].release();
            oldest = oldest + 1 & held.length - 1;
        }
        Arrays.fill(held, null);
    }
}

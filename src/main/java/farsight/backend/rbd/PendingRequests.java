package farsight.backend.rbd;

import farsight.backend.Request;
import farsight.sys.Scheduling;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The requests that librbd has, by a number that it hands back with their completion, and eight bytes of native memory
 * for each. One thread, unless it is said; allocates nothing once it has grown to what is needed at the same time.
 */
final class PendingRequests implements AutoCloseable {
    private static final int BLOCK = 1024;

    private final Arena arena = Arena.ofShared();
    private Request[] requests = new Request[0];
    private int[] free = new int[0];
    private int freeCount;
    private MemorySegment[] cells = new MemorySegment[0];

    /** How many were added and removed so far. Written by the one thread, read by any. */
    private volatile long added;

    private volatile long removed;

    /** The one thread, and the kernel's number of it; 0 before it is known. */
    private Thread owner;

    private volatile int thread;

    int add(Request request) {
        if (freeCount == 0) {
            grow();
        }
        if (Thread.currentThread() != owner) {
            owner = Thread.currentThread();
            thread = Scheduling.currentThread();
        }
        int index = free[--freeCount];
        requests[index] = request;
        added = added + 1;
        return index;
    }

    private void grow() {
        int old = requests.length;
        requests = java.util.Arrays.copyOf(requests, old + BLOCK);
        free = new int[old + BLOCK];
        freeCount = BLOCK;
        for (int i = 0; i < BLOCK; i++) {
            free[i] = old + BLOCK - 1 - i;
        }
        cells = java.util.Arrays.copyOf(cells, cells.length + 1);
        cells[cells.length - 1] = arena.allocate(ValueLayout.JAVA_LONG, BLOCK);
    }

    /** The address of a request's eight bytes. */
    long cell(int index) {
        return cells[index / BLOCK].address() + index % BLOCK * 8L;
    }

    /** What librbd wrote there. */
    long value(int index) {
        return cells[index / BLOCK].getAtIndex(ValueLayout.JAVA_LONG, index % BLOCK);
    }

    Request remove(int index) {
        Request request = requests[index];
        requests[index] = null;
        free[freeCount++] = index;
        removed = removed + 1;
        return request;
    }

    /** How many were removed so far. Any thread. */
    long removed() {
        return removed;
    }

    /** How many librbd has now. Any thread. */
    int count() {
        return (int) (added - removed);
    }

    /** The kernel's number of the thread that requests come from and go to; 0 before the first one. Any thread. */
    int thread() {
        return thread;
    }

    @Override
    public void close() {
        arena.close();
    }
}

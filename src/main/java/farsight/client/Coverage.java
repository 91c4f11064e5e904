package farsight.client;

import java.util.Arrays;

/**
 * Which parts of a read have been answered: disjoint ranges in order. Chunks mostly come in order, and then it is one
 * range; a server that scatters them without end is cut off.
 */
final class Coverage {
    private static final int MOST = 1024;

    private long[] starts = new long[1];
    private long[] ends = new long[1];
    private int count;

    /** How an added range fits. */
    enum Fit {
        NEW,
        OVERLAPPING,
        TOO_SCATTERED
    }

    Fit add(long start, long end) {
        int at = count;
        while (at > 0 && starts[at - 1] >= start) {
            at--;
        }
        if (at > 0 && ends[at - 1] > start || at < count && starts[at] < end) {
            return Fit.OVERLAPPING;
        }
        boolean before = at > 0 && ends[at - 1] == start;
        boolean after = at < count && starts[at] == end;
        if (before && after) {
            ends[at - 1] = ends[at];
            remove(at);
        } else if (before) {
            ends[at - 1] = end;
        } else if (after) {
            starts[at] = start;
        } else if (count == MOST) {
            return Fit.TOO_SCATTERED;
        } else {
            insert(at, start, end);
        }
        return Fit.NEW;
    }

    private void remove(int at) {
        System.arraycopy(starts, at + 1, starts, at, count - at - 1);
        System.arraycopy(ends, at + 1, ends, at, count - at - 1);
        count--;
    }

    private void insert(int at, long start, long end) {
        if (count == starts.length) {
            starts = Arrays.copyOf(starts, 2 * count);
            ends = Arrays.copyOf(ends, 2 * count);
        }
        System.arraycopy(starts, at, starts, at + 1, count - at);
        System.arraycopy(ends, at, ends, at + 1, count - at);
        starts[at] = start;
        ends[at] = end;
        count++;
    }

    /** Whether exactly this range is covered. */
    boolean is(long start, long end) {
        return count == 1 && starts[0] == start && ends[0] == end;
    }
}

package farsight.backend.rbd;

import farsight.backend.ExtentSink;
import farsight.bindings.rbd.Rbd;
import farsight.bindings.rbd.rbd_diff_iterate2$cb;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** Which parts of a range an image has, from {@code rbd_diff_iterate2}: what it does not report is a hole. */
final class DiffExtents {
    /** Those that run, by the number that librbd hands to the one callback, on whichever of its threads. */
    private static final Map<Long, DiffExtents> RUNNING = new ConcurrentHashMap<>();

    private static final AtomicLong NUMBERS = new AtomicLong();
    private static final MemorySegment CALLBACK = rbd_diff_iterate2$cb.allocate(DiffExtents::reported, Arena.global());

    private final long end;
    private final ExtentSink sink;
    private long at;
    private boolean stopped;

    DiffExtents(long offset, long length, ExtentSink sink) {
        at = offset;
        end = offset + length;
        this.sink = sink;
    }

    /** 0, or a negative errno. Blocks. */
    int run(MemorySegment image) {
        long number = NUMBERS.incrementAndGet();
        RUNNING.put(number, this);
        int result;
        try {
            result = Rbd.rbd_diff_iterate2(
                    image,
                    MemorySegment.NULL,
                    at,
                    end - at,
                    (byte) 1,
                    (byte) 0,
                    CALLBACK,
                    MemorySegment.ofAddress(number));
        } finally {
            RUNNING.remove(number);
        }
        if (result < 0 && !stopped) {
            return result;
        }
        add(end - at, true);
        return 0;
    }

    /** A callback of librbd: an exception here would end the process. */
    private static int reported(long offset, long length, int exists, MemorySegment number) {
        DiffExtents running = RUNNING.get(number.address());
        return running != null && running.reported(offset, length, exists != 0) ? 0 : -1;
    }

    /** Whether more is wanted. */
    private boolean reported(long offset, long length, boolean exists) {
        long from = Math.max(offset, at);
        long to = Math.min(offset + length, end);
        if (from < to) {
            add(from - at, true);
            add(to - from, !exists);
        }
        return !stopped;
    }

    private void add(long length, boolean hole) {
        if (length > 0 && !stopped) {
            at += length;
            try {
                stopped = !sink.extent(length, hole, hole);
            } catch (RuntimeException e) {
                stopped = true; // whoever asked has failed; there is nobody to tell
            }
        }
    }
}

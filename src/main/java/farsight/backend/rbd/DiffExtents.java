package farsight.backend.rbd;

import farsight.backend.ExtentSink;
import farsight.bindings.rbd.Rbd;
import farsight.bindings.rbd.rbd_diff_iterate2$cb;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Which parts of a range an image has, from {@code rbd_diff_iterate2}: what it does not report is a hole. */
final class DiffExtents {
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
        try (Arena arena = Arena.ofShared()) {
            MemorySegment callback = rbd_diff_iterate2$cb.allocate(this::reported, arena);
            int result = Rbd.rbd_diff_iterate2(
                    image, MemorySegment.NULL, at, end - at, (byte) 1, (byte) 0, callback, MemorySegment.NULL);
            if (result < 0 && !stopped) {
                return result;
            }
        }
        add(end - at, true);
        return 0;
    }

    /** A callback of librbd: an exception here would end the process. */
    private int reported(long offset, long length, int exists, MemorySegment argument) {
        long from = Math.max(offset, at);
        long to = Math.min(offset + length, end);
        if (from < to) {
            add(from - at, true);
            add(to - from, exists == 0);
        }
        return stopped ? -1 : 0;
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

package farsight.backend.rbd;

import farsight.bindings.rbd.Rbd;
import farsight.bindings.rbd.rbd_update_callback_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Hears when another client changes the image (rbd_update_watch). The callback only leaves a mark. */
final class SizeWatch implements AutoCloseable {
    private final MemorySegment image;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment watch = arena.allocate(ValueLayout.JAVA_LONG);
    private final boolean watching;
    private volatile boolean changed;

    /** @param wake told after every change, on a thread of librbd's */
    SizeWatch(MemorySegment image, Runnable wake) {
        this.image = image;
        MemorySegment callback = rbd_update_callback_t.allocate(
                argument -> {
                    changed = true;
                    wake.run();
                },
                arena);
        // A snapshot has nothing to watch; it cannot change either.
        watching = Rbd.rbd_update_watch(image, watch, callback, MemorySegment.NULL) == 0;
    }

    /** Whether something changed since this was asked last. */
    boolean changed() {
        boolean result = changed;
        changed = false;
        return result;
    }

    @Override
    public void close() {
        if (watching) {
            Rbd.rbd_update_unwatch(image, watch.get(ValueLayout.JAVA_LONG, 0));
        }
        arena.close();
    }
}

package farsight.backend.rbd;

import farsight.bindings.rbd.Rbd;
import farsight.bindings.rbd.rbd_update_callback_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Hears when another client changes the image (rbd_update_watch). */
final class SizeWatch implements AutoCloseable {
    private final MemorySegment image;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment watch = arena.allocate(ValueLayout.JAVA_LONG);
    private final boolean watching;

    /** @param changed told after every change, on a thread of librbd's: it must neither block nor throw */
    SizeWatch(MemorySegment image, Runnable changed) {
        this.image = image;
        MemorySegment callback = rbd_update_callback_t.allocate(argument -> changed.run(), arena);
        // A snapshot has nothing to watch; it cannot change either.
        watching = Rbd.rbd_update_watch(image, watch, callback, MemorySegment.NULL) == 0;
    }

    @Override
    public void close() {
        if (watching) {
            Rbd.rbd_update_unwatch(image, watch.get(ValueLayout.JAVA_LONG, 0));
        }
        arena.close();
    }
}

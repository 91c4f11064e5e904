package farsight.backend.rbd;

import farsight.backend.Errno;
import farsight.bindings.rbd.Rbd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Finds out that the cluster has blocklisted this client when no request tells: librbd 16.2 keeps for ever what waits for
 * the image's exclusive lock when it cannot be had for that reason ("watcher not registered - client blocklisted"). So
 * when nothing gets on for a while, the cluster is asked for the lock's owner, which fails with -ESHUTDOWN then.
 */
final class LostWatch implements AutoCloseable {
    private static final int SECONDS = 5;
    private static final int OWNERS = 1;

    /** For all images: it only looks, and others ask. */
    static final ScheduledThreadPoolExecutor TIMER = timer();

    private final MemorySegment image;
    private final PendingRequests pending;
    private final Executor asking;
    private final Runnable lost;
    private final AtomicBoolean asks = new AtomicBoolean();
    private final ScheduledFuture<?> looking;
    private long removed;

    /**
     * @param asking for calls that block
     * @param lost told, on one of its threads, when the client is blocklisted; perhaps several times
     */
    LostWatch(MemorySegment image, PendingRequests pending, Executor asking, Runnable lost) {
        this.image = image;
        this.pending = pending;
        this.asking = asking;
        this.lost = lost;
        looking = TIMER.scheduleWithFixedDelay(this::look, SECONDS, SECONDS, TimeUnit.SECONDS);
    }

    private static ScheduledThreadPoolExecutor timer() {
        ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(
                1, Thread.ofPlatform().name("rbd-watch").daemon(true).factory());
        timer.setRemoveOnCancelPolicy(true);
        return timer;
    }

    private void look() {
        long now = pending.removed();
        boolean stuck = now == removed && pending.count() > 0;
        removed = now;
        if (stuck && asks.compareAndSet(false, true)) {
            try {
                asking.execute(this::ask);
            } catch (RejectedExecutionException e) {
                looking.cancel(false); // it is being closed
            }
        }
    }

    private void ask() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocateFrom(ValueLayout.JAVA_LONG, OWNERS);
            MemorySegment owners = arena.allocate(ValueLayout.ADDRESS, OWNERS);
            MemorySegment mode = arena.allocate(ValueLayout.JAVA_INT);
            int result = Rbd.rbd_lock_get_owners(image, mode, owners, count);
            if (result == 0) {
                Rbd.rbd_lock_get_owners_cleanup(owners, count.get(ValueLayout.JAVA_LONG, 0));
            } else if (result == -Errno.ESHUTDOWN) {
                lost.run();
            }
        } finally {
            asks.set(false);
        }
    }

    @Override
    public void close() {
        looking.cancel(false);
    }
}

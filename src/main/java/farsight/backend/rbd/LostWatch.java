package farsight.backend.rbd;

import farsight.backend.Errno;
import farsight.bindings.rbd.Rbd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;

/**
 * Finds out that the cluster has blocklisted this client when no request tells: librbd 16.2 keeps for ever what waits for
 * the image's exclusive lock when it cannot be had for that reason ("watcher not registered - client blocklisted"). So
 * when nothing gets on for a while, the cluster is asked for the lock's owner, which fails with -ESHUTDOWN then.
 */
final class LostWatch {
    private static final long NANOS = 5_000_000_000L;
    private static final int OWNERS = 1;

    private final MemorySegment image;
    private final PendingRequests pending;
    private final Runnable lost;

    /** Asks now, or has asked; of its own, since others may wait for what librbd has forgotten. */
    private Thread asking;

    private boolean closed;
    private long looked = System.nanoTime();
    private long removed;

    /**
     * @param lost told, on a thread of its own, when the client is blocklisted; perhaps several times
     */
    LostWatch(MemorySegment image, PendingRequests pending, Runnable lost) {
        this.image = image;
        this.pending = pending;
        this.lost = lost;
        ImageWatch.PROCESS.add(this);
    }

    /** Called again and again, by {@link System#nanoTime}. */
    synchronized void look(long time) {
        if (time - looked < NANOS) {
            return;
        }
        looked = time;
        long now = pending.removed();
        boolean stuck = now == removed && pending.count() > 0;
        removed = now;
        if (stuck && !closed && (asking == null || !asking.isAlive())) {
            asking = Thread.ofPlatform().name("rbd-asking").daemon(true).start(this::ask);
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
        }
    }

    /** Looks no more. Any thread. */
    void stop() {
        ImageWatch.PROCESS.remove(this);
        synchronized (this) {
            closed = true;
        }
    }

    /** Waits until nothing is asked any more; false when that takes longer than a minute. */
    boolean close() throws InterruptedException {
        stop();
        Thread last;
        synchronized (this) {
            last = asking;
        }
        return last == null || last.join(Duration.ofMinutes(1));
    }
}

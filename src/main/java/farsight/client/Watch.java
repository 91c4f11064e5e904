package farsight.client;

import java.util.ArrayList;
import java.util.List;

/** Looks after what may wait for too long in calls without a timeout. One thread for all, from the first on. */
final class Watch implements Runnable {
    private static final Watch ALL = new Watch();

    /** An answer that was due is missed by this much at most. */
    private static final long SOONEST_NANOS = 1_000_000;

    private final List<Watched> watched = new ArrayList<>();
    private boolean started;

    /** What is looked after. */
    interface Watched {
        /**
         * Ends what waits for too long.
         *
         * @param now by {@link System#nanoTime}
         * @return nanoseconds until it is to be looked at again; negative for never
         */
        long look(long now);
    }

    private Watch() {}

    /** Looks at it now, and from then on as often as it says. Any thread; a second time is as good as once. */
    static void over(Watched one) {
        ALL.add(one);
    }

    /** It is not looked at any more. */
    static void leave(Watched one) {
        ALL.remove(one);
    }

    private synchronized void add(Watched one) {
        if (!watched.contains(one)) {
            watched.add(one);
        }
        if (started) {
            notifyAll();
            return;
        }
        started = true;
        Thread thread = new Thread(null, this, "nbd-watch");
        thread.setDaemon(true);
        thread.start();
    }

    private synchronized void remove(Watched one) {
        watched.remove(one);
    }

    @Override
    public void run() {
        while (look()) {}
    }

    private synchronized boolean look() {
        long next = Long.MAX_VALUE;
        long now = System.nanoTime();
        for (int i = watched.size() - 1; i >= 0; i--) {
            long due = watched.get(i).look(now);
            if (due < 0) {
                watched.remove(i);
            } else {
                next = Math.min(next, Math.max(due, SOONEST_NANOS));
            }
        }
        try {
            wait(next == Long.MAX_VALUE ? 0 : (next + 999_999) / 1_000_000);
        } catch (InterruptedException e) {
            return false; // nobody does
        }
        return true;
    }
}

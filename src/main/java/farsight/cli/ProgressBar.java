package farsight.cli;

import farsight.client.Copy;

/** A line on a terminal that is drawn again a few times a second until the copy ends. */
final class ProgressBar implements Runnable {
    private static final int WIDTH = 40;
    private static final long INTERVAL_MILLIS = 200;

    private final Copy copy;
    private final int passes;
    private final Thread thread = new Thread(null, this, "progress");
    private boolean ended;

    private ProgressBar(Copy copy, int passes) {
        this.copy = copy;
        this.passes = passes;
    }

    static ProgressBar start(Copy copy, boolean verify) {
        ProgressBar bar = new ProgressBar(copy, verify ? 2 : 1);
        bar.thread.setDaemon(true);
        bar.thread.start();
        return bar;
    }

    @Override
    public synchronized void run() {
        boolean drawn = false;
        while (!ended) {
            try {
                wait(INTERVAL_MILLIS);
            } catch (InterruptedException e) {
                return;
            }
            if (!ended && copy.size() > 0) {
                System.err.print(line(copy.moved(), copy.size() * passes));
                drawn = true;
            }
        }
        if (drawn) {
            System.err.print("\r" + " ".repeat(WIDTH + 8) + "\r");
        }
    }

    static String line(long moved, long all) {
        int done = (int) (WIDTH * (double) moved / all);
        int percent = (int) (100.0 * moved / all);
        return "\r[" + "#".repeat(done) + "-".repeat(WIDTH - done) + "] " + percent + "%";
    }

    /** Wipes it; nothing is drawn afterwards. */
    void end() {
        synchronized (this) {
            ended = true;
            notifyAll();
        }
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}

package farsight.loop;

/**
 * When to look for work for a while instead of sleeping: as long as that has found some lately. After every time in vain
 * it pauses for twice as many sleeps as before.
 */
final class Spinner {
    private static final int LONGEST_PAUSE = 64;

    private final long nanos;
    private int pause;
    private int pauseLeft;
    private long start;

    /** @param nanos how long one time takes at most; 0 for never */
    Spinner(long nanos) {
        this.nanos = nanos;
    }

    /** Whether to do it now, instead of the next sleep. */
    boolean wanted() {
        if (nanos == 0) {
            return false;
        }
        if (pauseLeft > 0) {
            pauseLeft--;
            return false;
        }
        return true;
    }

    void begin() {
        start = System.nanoTime();
    }

    /** Whether to look once more; false when this time was in vain. */
    boolean goesOn() {
        if (System.nanoTime() - start < nanos) {
            return true;
        }
        pause = Math.clamp(pause * 2L, 1, LONGEST_PAUSE);
        pauseLeft = pause;
        return false;
    }

    void found() {
        pause = 0;
    }
}

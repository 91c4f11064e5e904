package farsight.loop;

/**
 * When to look for work for a while instead of sleeping: after a turn with so few answers that a client seems to wait for
 * each, or one in which a single client's writes were answered, which is then in the middle of sending more; and as long
 * as that has found some lately. After the second time in vain it pauses for one sleep, then for twice as many each time.
 * Nothing is answered in a turn that waits for storage, which takes longer than is worth it.
 */
final class Spinner {
    private static final int LONGEST_PAUSE = 64;

    /** More than this are a batch: their client has something to do, and the next batch is better for having grown. */
    private static final long FEW_REQUESTS = 2;

    /** A look takes a fraction of this, unless somebody else got the processor meanwhile and has better use for it. */
    private static final long LONGEST_LOOK = 50_000;

    /** Requests that bring more than this each are writes, by and large. */
    private static final long WITH_PAYLOAD = 256;

    private final long nanos;

    /** Whether the last look was. */
    private boolean inVain;

    private int pause;
    private int pauseLeft;
    private long start;
    private long lastLook;
    private long answered;
    private long received;

    /** @param nanos how long one time takes at most; 0 for never */
    Spinner(long nanos) {
        this.nanos = nanos;
    }

    /**
     * Whether to do it now, instead of the next sleep.
     *
     * @param requests answered since the loop's start
     * @param bytes received since then
     * @param several whether more than one channel had something to do lately
     */
    boolean wanted(long requests, long bytes, boolean several) {
        long answers = requests - answered;
        boolean writing = !several && bytes - received > answers * WITH_PAYLOAD;
        boolean promising = answers > 0 && (answers <= FEW_REQUESTS || writing);
        answered = requests;
        received = bytes;
        if (nanos == 0 || !promising) {
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
        lastLook = start;
    }

    /** Whether to look once more; false when this time was in vain. */
    boolean goesOn() {
        long now = System.nanoTime();
        boolean undisturbed = now - lastLook < LONGEST_LOOK;
        lastLook = now;
        if (undisturbed && now - start < nanos) {
            return true;
        }
        // A client that was held up once by its own system comes back: for it alone nobody sleeps more than this once.
        if (inVain) {
            pause = Math.clamp(pause * 2L, 1, LONGEST_PAUSE);
            pauseLeft = pause;
        }
        inVain = true;
        return false;
    }

    void found() {
        inVain = false;
        pause = 0;
    }
}

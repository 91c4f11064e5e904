package farsight.device;

/** How long to wait before the next attempt: doubled from one to the next, up to a most. One thread. */
final class Backoff {
    private static final long FIRST_MILLIS = 100;
    private static final long MOST_MILLIS = 5_000;

    private long next = FIRST_MILLIS;

    /** Milliseconds. */
    long next() {
        long wait = next;
        next = Math.min(2 * next, MOST_MILLIS);
        return wait;
    }

    /** After a success. */
    void reset() {
        next = FIRST_MILLIS;
    }
}

package farsight.loop;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * What a loop has done since its start. The loop alone counts; any thread may read, and sees each number as it was a
 * moment ago.
 */
public final class Counters {
    private static final VarHandle VALUE = MethodHandles.arrayElementVarHandle(long[].class);
    // Between two cache lines of nothing, so that readers of neighbours disturb nobody.
    private static final int TURNS = 8;
    private static final int SLEEPS = 9;
    private static final int RECEIVES = 10;
    private static final int RECEIVED_BYTES = 11;
    private static final int SENDS = 12;
    private static final int SENT_BYTES = 13;
    private static final int REQUESTS = 14;
    private static final int FILE_OPERATIONS = 15;

    private static final int STALLS = 16;
    private static final int SENT_IN_PLACE_BYTES = 17;
    private static final int FILE_WRITES_AT_ONCE = 18;

    private final long[] values = new long[26];

    /** Times that the loop looked for events and dealt with them. */
    public long turns() {
        return value(TURNS);
    }

    /** Times that it slept because there were none. */
    public long sleeps() {
        return value(SLEEPS);
    }

    /** Receives that brought something. */
    public long receives() {
        return value(RECEIVES);
    }

    public long receivedBytes() {
        return value(RECEIVED_BYTES);
    }

    /** Sends that took something. */
    public long sends() {
        return value(SENDS);
    }

    public long sentBytes() {
        return value(SENT_BYTES);
    }

    /** Of the bytes that were sent those without a copy by the system, or with one that it could not avoid. */
    public long sentInPlaceBytes() {
        return value(SENT_IN_PLACE_BYTES);
    }

    /** Requests that were answered. */
    public long requests() {
        return value(REQUESTS);
    }

    /** Operations on files that went through the loop's own ring. */
    public long fileOperations() {
        return value(FILE_OPERATIONS);
    }

    /** Writes to files that the loop made itself, though it might have had to wait for them. */
    public long fileWritesAtOnce() {
        return value(FILE_WRITES_AT_ONCE);
    }

    /** Turns that took so long that others had to wait for it, {@link EventLoop#STALL_NANOS}. */
    public long stalls() {
        return value(STALLS);
    }

    private long value(int index) {
        return (long) VALUE.getOpaque(values, index);
    }

    private void add(int index, long more) {
        VALUE.setOpaque(values, index, values[index] + more);
    }

    void turn() {
        add(TURNS, 1);
    }

    void stall() {
        add(STALLS, 1);
    }

    void sleep() {
        add(SLEEPS, 1);
    }

    void received(long bytes) {
        add(RECEIVES, 1);
        add(RECEIVED_BYTES, bytes);
    }

    void sent(long bytes) {
        add(SENDS, 1);
        add(SENT_BYTES, bytes);
    }

    void sentInPlace(long bytes) {
        add(SENT_IN_PLACE_BYTES, bytes);
    }

    void fileOperation() {
        add(FILE_OPERATIONS, 1);
    }

    void fileWriteAtOnce() {
        add(FILE_WRITES_AT_ONCE, 1);
    }

    /** One more request was answered. Loop thread only. */
    public void request() {
        add(REQUESTS, 1);
    }
}

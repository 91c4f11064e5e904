package farsight.server;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * What clients on one loop have asked of one export, since the server was started. That loop alone counts; any thread may
 * read, and sees each number as it was a moment ago.
 */
final class Traffic {
    /** Commands are numbered from 0 (NBD_CMD_READ) to 7 (NBD_CMD_BLOCK_STATUS). */
    static final int COMMANDS = 8;

    /** Of times: bucket n counts those up to 2^n * {@link #LEAST_NANOS}, the last one all that are longer. */
    static final int BUCKETS = 22;

    static final long LEAST_NANOS = 16_000;

    private static final int ERRORS = 0;
    private static final int BYTES = 1;
    private static final int NANOS = 2;
    private static final int FIRST_BUCKET = 3;
    private static final int WIDTH = FIRST_BUCKET + BUCKETS;

    /**
     * Where the time of requests goes: until its payload was there and it could be started; in the storage; until its reply
     * was gathered; and, for each gathered send instead of each request, until the socket had taken all of it.
     */
    enum Stage {
        RECEIVE,
        STORAGE,
        REPLY,
        SEND
    }

    private static final int STAGES = Stage.values().length;

    /** A cache line of nothing before and after, so that loops do not disturb each other. */
    private static final int PADDING = 8;

    private static final VarHandle VALUE = MethodHandles.arrayElementVarHandle(long[].class);

    private static final int FIRST_STAGE = PADDING + COMMANDS * WIDTH;

    private final long[] values = new long[FIRST_STAGE + STAGES + PADDING];

    /** Loop thread only. */
    void answered(int command, long bytes, boolean failed, long nanos) {
        if (command < 0 || command >= COMMANDS) {
            return; // the client's invention
        }
        int at = PADDING + command * WIDTH;
        add(at + (failed ? ERRORS : BYTES), failed ? 1 : bytes);
        add(at + NANOS, nanos);
        add(at + FIRST_BUCKET + bucket(nanos), 1);
    }

    /** Adds up where the time of an answered request went, as far as turns of the loop tell. Loop thread only. */
    void stages(IoRequest request, long answered) {
        if (request.submitted == 0) {
            add(FIRST_STAGE + Stage.REPLY.ordinal(), answered - request.arrived);
            return;
        }
        add(FIRST_STAGE + Stage.RECEIVE.ordinal(), request.submitted - request.arrived);
        add(FIRST_STAGE + Stage.STORAGE.ordinal(), request.inStorage());
        add(FIRST_STAGE + Stage.REPLY.ordinal(), Math.max(0, answered - request.completed));
    }

    /** Loop thread only. */
    void sent(long nanos) {
        add(FIRST_STAGE + Stage.SEND.ordinal(), nanos);
    }

    long nanos(Stage stage) {
        return (long) VALUE.getOpaque(values, FIRST_STAGE + stage.ordinal());
    }

    /** The first bucket whose bound a time does not exceed. */
    static int bucket(long nanos) {
        long units = (Math.max(1, nanos) - 1) / LEAST_NANOS;
        return Math.min(BUCKETS - 1, 64 - Long.numberOfLeadingZeros(units));
    }

    private void add(int index, long more) {
        VALUE.setOpaque(values, index, values[index] + more);
    }

    private long value(int command, int field) {
        return (long) VALUE.getOpaque(values, PADDING + command * WIDTH + field);
    }

    long errors(int command) {
        return value(command, ERRORS);
    }

    /** Payload, or the length of what was zeroed, trimmed or cached, of requests that succeeded. */
    long bytes(int command) {
        return value(command, BYTES);
    }

    /** All times together. */
    long nanos(int command) {
        return value(command, NANOS);
    }

    /** How many took as long as a bucket says. */
    long count(int command, int bucket) {
        return value(command, FIRST_BUCKET + bucket);
    }
}

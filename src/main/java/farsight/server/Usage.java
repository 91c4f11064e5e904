package farsight.server;

import farsight.protocol.Nbd;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * What one client has asked of its export so far. The connection's loop alone counts; any thread may read, and sees each
 * number as it was a moment ago.
 */
final class Usage {
    private static final VarHandle VALUE = MethodHandles.arrayElementVarHandle(long[].class);
    private static final int REQUESTS = 0;
    private static final int ERRORS = 1;
    private static final int READ = 2;
    private static final int WRITTEN = 3;

    private final Export export;
    private final boolean tls;
    private final long began;
    private final long[] values = new long[4];

    /** @param began nanoseconds by {@link System#nanoTime} */
    Usage(Export export, boolean tls, long began) {
        this.export = export;
        this.tls = tls;
        this.began = began;
    }

    Export export() {
        return export;
    }

    boolean tls() {
        return tls;
    }

    long began() {
        return began;
    }

    long requests() {
        return value(REQUESTS);
    }

    /** Requests that were answered with an error. */
    long errors() {
        return value(ERRORS);
    }

    /** Bytes. */
    long read() {
        return value(READ);
    }

    /** Bytes of payload; what was zeroed or trimmed does not count. */
    long written() {
        return value(WRITTEN);
    }

    /** Loop thread only. */
    void answered(int command, long bytes, boolean failed) {
        add(REQUESTS, 1);
        if (failed) {
            add(ERRORS, 1);
        } else if (command == Nbd.NBD_CMD_READ) {
            add(READ, bytes);
        } else if (command == Nbd.NBD_CMD_WRITE) {
            add(WRITTEN, bytes);
        }
    }

    private long value(int index) {
        return (long) VALUE.getOpaque(values, index);
    }

    private void add(int index, long more) {
        VALUE.setOpaque(values, index, values[index] + more);
    }
}

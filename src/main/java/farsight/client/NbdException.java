package farsight.client;

import java.io.IOException;

/** The server refused, broke the rules, or went away. The message is one line for people. */
public final class NbdException extends IOException {
    private static final long serialVersionUID = 1;

    private final int error;
    private final long offset;

    public NbdException(String message) {
        this(message, 0);
    }

    /** @param error an NBD error value, or 0 when the failure is not a reply to a request */
    public NbdException(String message, int error) {
        this(message, error, -1);
    }

    NbdException(String message, int error, long offset) {
        super(message);
        this.error = error;
        this.offset = offset;
    }

    /** The NBD error value of a failed request (proto.md, "Error values"), EINVAL for one that is not; 0 for all else. */
    public int error() {
        return error;
    }

    /** Where in the export it failed, in bytes, when the server said so; otherwise -1. */
    public long offset() {
        return offset;
    }
}

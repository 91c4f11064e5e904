package farsight.backend;

import java.io.IOException;

/** A failure with the error number that the client is to see. */
public final class DeviceException extends IOException {
    private static final long serialVersionUID = 1;

    private final int errno;

    /**
     * @param errno a Linux error number; see {@link Errno} for those that NBD can carry
     * @param message one line for people: what, where, why, remedy
     */
    public DeviceException(int errno, String message) {
        super(message);
        this.errno = errno;
    }

    public DeviceException(int errno, String message, Throwable cause) {
        super(message, cause);
        this.errno = errno;
    }

    public int errno() {
        return errno;
    }
}

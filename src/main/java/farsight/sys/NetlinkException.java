package farsight.sys;

import java.io.IOException;

/** The kernel refused a netlink request, or sent something that cannot be understood (errno 0). */
public final class NetlinkException extends IOException {
    private static final long serialVersionUID = 1;

    private final int errno;

    /** A message that breaks the rules of netlink. */
    NetlinkException(String problem) {
        super("netlink: " + problem);
        errno = 0;
    }

    /**
     * @param what the request
     * @param errno positive
     * @param text what the kernel says to it (extended acknowledgement); empty when it says nothing
     */
    NetlinkException(String what, int errno, String text) {
        super(what + ": " + (text.isEmpty() ? "" : text + ": ") + ErrnoException.describe(errno));
        this.errno = errno;
    }

    public int errno() {
        return errno;
    }
}

package farsight.sys;

import farsight.bindings.linux.Linux;
import java.io.IOException;
import java.util.Map;

/** A system call failed. The message says which, on what, and why in words. */
public final class ErrnoException extends IOException {
    private static final long serialVersionUID = 1;

    private static final Map<Integer, String> NAMES = Map.ofEntries(
            Map.entry(Linux.EPERM(), "EPERM"),
            Map.entry(Linux.ENOENT(), "ENOENT"),
            Map.entry(Linux.EINTR(), "EINTR"),
            Map.entry(Linux.EIO(), "EIO"),
            Map.entry(Linux.ENXIO(), "ENXIO"),
            Map.entry(Linux.EBADF(), "EBADF"),
            Map.entry(Linux.EAGAIN(), "EAGAIN"),
            Map.entry(Linux.ENOMEM(), "ENOMEM"),
            Map.entry(Linux.EACCES(), "EACCES"),
            Map.entry(Linux.EBUSY(), "EBUSY"),
            Map.entry(Linux.EEXIST(), "EEXIST"),
            Map.entry(Linux.EXDEV(), "EXDEV"),
            Map.entry(Linux.ENODEV(), "ENODEV"),
            Map.entry(Linux.ENOTDIR(), "ENOTDIR"),
            Map.entry(Linux.EISDIR(), "EISDIR"),
            Map.entry(Linux.EINVAL(), "EINVAL"),
            Map.entry(Linux.EMFILE(), "EMFILE"),
            Map.entry(Linux.ENFILE(), "ENFILE"),
            Map.entry(Linux.ENOTTY(), "ENOTTY"),
            Map.entry(Linux.EFBIG(), "EFBIG"),
            Map.entry(Linux.ENOSPC(), "ENOSPC"),
            Map.entry(Linux.EROFS(), "EROFS"),
            Map.entry(Linux.EPIPE(), "EPIPE"),
            Map.entry(Linux.ENAMETOOLONG(), "ENAMETOOLONG"),
            Map.entry(Linux.ENOSYS(), "ENOSYS"),
            Map.entry(Linux.ELOOP(), "ELOOP"),
            Map.entry(Linux.EOPNOTSUPP(), "EOPNOTSUPP"),
            Map.entry(Linux.EAFNOSUPPORT(), "EAFNOSUPPORT"),
            Map.entry(Linux.EADDRINUSE(), "EADDRINUSE"),
            Map.entry(Linux.EADDRNOTAVAIL(), "EADDRNOTAVAIL"),
            Map.entry(Linux.ENETUNREACH(), "ENETUNREACH"),
            Map.entry(Linux.ECONNABORTED(), "ECONNABORTED"),
            Map.entry(Linux.ECONNRESET(), "ECONNRESET"),
            Map.entry(Linux.ENOTCONN(), "ENOTCONN"),
            Map.entry(Linux.ESHUTDOWN(), "ESHUTDOWN"),
            Map.entry(Linux.ETIMEDOUT(), "ETIMEDOUT"),
            Map.entry(Linux.ECONNREFUSED(), "ECONNREFUSED"),
            Map.entry(Linux.EHOSTUNREACH(), "EHOSTUNREACH"),
            Map.entry(Linux.EDQUOT(), "EDQUOT"),
            Map.entry(Linux.ENOEXEC(), "ENOEXEC"),
            Map.entry(Linux.ENOKEY(), "ENOKEY"),
            Map.entry(Linux.EKEYREJECTED(), "EKEYREJECTED"));

    private final int errno;

    /**
     * @param what the call and its object, for example {@code "open /dev/nbd0"}
     * @param errno positive
     */
    public ErrnoException(String what, int errno) {
        super(what + ": " + describe(errno));
        this.errno = errno;
    }

    public int errno() {
        return errno;
    }

    /** The text of libc and the name, for example {@code "Permission denied (EACCES)"}. */
    public static String describe(int errno) {
        String name = NAMES.get(errno);
        return Process.errorText(errno) + " (" + (name == null ? "errno " + errno : name) + ")";
    }

    /** {@code result} unless it is a negated errno, which is thrown. */
    static int check(String what, int result) throws ErrnoException {
        if (result < 0) {
            throw new ErrnoException(what, -result);
        }
        return result;
    }

    static long check(String what, long result) throws ErrnoException {
        if (result < 0) {
            throw new ErrnoException(what, (int) -result);
        }
        return result;
    }
}

package farsight.sys;

import farsight.bindings.linux.Linux;
import java.util.Optional;

/** A file that one open description holds at a time (flock(2)); the kernel lets go of it when the process ends. */
public final class FileLock implements AutoCloseable {
    private static final Call FLOCK = Native.call("flock", 2);

    private final int fd;

    private FileLock(int fd) {
        this.fd = fd;
    }

    /** Takes the lock, creating the file; empty when somebody else holds it. */
    public static Optional<FileLock> tryLock(String path) throws ErrnoException {
        return tryLock(path, Files.READ_WRITE | Files.CREATE, Linux.LOCK_EX());
    }

    /** Takes the lock of a file that exists together with others who do so; empty when somebody holds it alone. */
    public static Optional<FileLock> tryShared(String path) throws ErrnoException {
        return tryLock(path, Files.READ_ONLY, Linux.LOCK_SH());
    }

    private static Optional<FileLock> tryLock(String path, int flags, int kind) throws ErrnoException {
        int fd = Files.open(path, flags);
        int result;
        try (CallState state = CallState.open()) {
            int how = kind | Linux.LOCK_NB();
            result = state.check((int) FLOCK.invoke(state, fd, how));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
        if (result == 0) {
            return Optional.of(new FileLock(fd));
        }
        Files.close(fd);
        if (result == -Linux.EAGAIN()) {
            return Optional.empty();
        }
        throw new ErrnoException("flock " + path, -result);
    }

    @Override
    public void close() {
        Files.close(fd);
    }
}

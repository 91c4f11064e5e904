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
        int fd = Files.open(path, Files.READ_WRITE | Files.CREATE);
        int result;
        try (CallState state = CallState.open()) {
            int how = Linux.LOCK_EX() | Linux.LOCK_NB();
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

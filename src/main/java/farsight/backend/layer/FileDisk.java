package farsight.backend.layer;

import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.FileLock;
import farsight.sys.Files;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;

/** A file that nobody else may change meanwhile. */
final class FileDisk implements Disk {
    private static final long PATIENCE = 5_000_000_000L;

    private final String path;
    private final int fd;
    private final FileLock lock;

    private FileDisk(String path, int fd, FileLock lock) {
        this.path = path;
        this.fd = fd;
        this.lock = lock;
    }

    /** @param writable alone; otherwise together with others who only read it */
    static FileDisk open(String path, boolean writable, boolean create) throws IOException {
        FileLock lock = null;
        try {
            int how = writable ? Files.READ_WRITE : Files.READ_ONLY;
            int fd = Files.open(path, create ? how | Files.CREATE : how);
            try {
                lock = lock(path, writable);
                return new FileDisk(path, fd, lock);
            } catch (IOException | RuntimeException e) {
                Files.close(fd);
                throw e;
            }
        } catch (ErrnoException e) {
            throw new DeviceException(e.errno(), path + ": " + ErrnoException.describe(e.errno()), e);
        }
    }

    /** An export whose last client has just gone is still being closed while the next one opens it: that is waited for. */
    private static FileLock lock(String path, boolean alone) throws IOException {
        long start = System.nanoTime();
        while (true) {
            Optional<FileLock> lock = alone ? FileLock.tryLock(path) : FileLock.tryShared(path);
            if (lock.isPresent()) {
                return lock.get();
            }
            if (System.nanoTime() - start > PATIENCE) {
                throw new DeviceException(
                        Errno.EPERM, path + ": is in use; end what uses it, a server or another export");
            }
            LockSupport.parkNanos(5_000_000);
        }
    }

    @Override
    public long size() throws IOException {
        return Files.kind(fd).size();
    }

    @Override
    public void read(MemorySegment target, long offset) throws IOException {
        transfer(target, offset, false);
    }

    @Override
    public void write(MemorySegment source, long offset) throws IOException {
        transfer(source, offset, true);
    }

    private void transfer(MemorySegment memory, long offset, boolean write) throws IOException {
        try (CallState state = CallState.open()) {
            long done = 0;
            while (done < memory.byteSize()) {
                long address = memory.address() + done;
                long left = memory.byteSize() - done;
                long moved = write
                        ? Files.pwrite(state, fd, address, left, offset + done)
                        : Files.pread(state, fd, address, left, offset + done);
                if (moved == -Files.EINTR) {
                    continue;
                }
                if (moved == 0) {
                    throw new DeviceException(Errno.EIO, path + ": ends before byte " + (offset + done));
                }
                checked(moved);
                done += moved;
            }
        }
    }

    private void checked(long result) throws DeviceException {
        if (result < 0) {
            throw new DeviceException((int) -result, path + ": " + ErrnoException.describe((int) -result));
        }
    }

    @Override
    public void punch(long offset, long length) throws IOException {
        try (CallState state = CallState.open()) {
            int result = Files.punchHole(state, fd, offset, length);
            if (result != -Files.EOPNOTSUPP) {
                checked(result);
                return;
            }
        }
        try (java.lang.foreign.Arena arena = java.lang.foreign.Arena.ofConfined()) {
            MemorySegment zeroes = arena.allocate(Math.min(length, 64 << 10));
            for (long at = 0; at < length; at += zeroes.byteSize()) {
                write(zeroes.asSlice(0, Math.min(zeroes.byteSize(), length - at)), offset + at);
            }
        }
    }

    @Override
    public void truncate(long size) throws IOException {
        Files.truncate(fd, size);
    }

    @Override
    public void sync() throws IOException {
        try (CallState state = CallState.open()) {
            checked(Files.fdatasync(state, fd));
        }
    }

    @Override
    public long data(long offset) throws IOException {
        try (CallState state = CallState.open()) {
            long at = Files.seekData(state, fd, offset);
            if (at == -Files.ENXIO) {
                return Long.MAX_VALUE;
            }
            checked(at);
            return at;
        }
    }

    @Override
    public long hole(long offset) throws IOException {
        try (CallState state = CallState.open()) {
            long at = Files.seekHole(state, fd, offset);
            checked(at);
            return at;
        }
    }

    @Override
    public void close() {
        Files.close(fd);
        lock.close();
    }
}

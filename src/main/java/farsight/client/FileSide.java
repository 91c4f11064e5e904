package farsight.client;

import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.Files;
import farsight.sys.QuickCalls;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A regular file or block device that is copied from or to. */
final class FileSide extends CopySide implements WritableFile {
    final int fd;
    private final CallState state = CallState.forever();
    private final long size;
    private final boolean regular;
    private boolean seekable = true;

    FileSide(String place, int fd, long size, boolean regular) {
        super(place);
        this.fd = fd;
        this.size = size;
        this.regular = regular;
    }

    static FileSide source(String place) throws IOException {
        int fd = open(place, QuickCalls.READ_ONLY);
        return new FileSide(place, fd, size(place, fd), false);
    }

    /** A regular file becomes one hole of that size; a device must be large enough. */
    static FileSide target(String place, long size) throws IOException {
        int fd = open(place, QuickCalls.READ_WRITE | QuickCalls.CREATE);
        try (CallState state = CallState.open()) {
            int emptied = QuickCalls.truncate(state, fd, 0);
            if (emptied == -QuickCalls.EINVAL) {
                return new FileSide(place, fd, size(place, fd), false);
            }
            int sized = emptied < 0 ? emptied : QuickCalls.truncate(state, fd, size);
            if (sized < 0) {
                QuickCalls.close(fd);
                throw failed(place, "cannot be made " + size + " bytes long", sized);
            }
            return new FileSide(place, fd, size, true);
        }
    }

    private static int open(String place, int flags) throws IOException {
        try {
            return QuickCalls.open(place, flags);
        } catch (ErrnoException e) {
            throw e.errno() == QuickCalls.ENOENT ? new IOException(place + ": no such file", e) : e;
        }
    }

    private static long size(String place, int fd) throws IOException {
        try (CallState state = CallState.open()) {
            long size = QuickCalls.size(state, fd);
            if (size < 0 || size == 0 && !hasSize(fd)) {
                QuickCalls.close(fd);
                throw new IOException(place + ": is neither a regular file nor a block device");
            }
            return size;
        }
    }

    /** Character devices let themselves be sought in, too. */
    private static boolean hasSize(int fd) throws IOException {
        Files.Kind kind = Files.kind(fd);
        return kind.isRegular() || kind.isBlockDevice();
    }

    static IOException failed(String place, String what, long negated) {
        return new IOException(place + ": " + what + ": " + ErrnoException.describe((int) -negated));
    }

    @Override
    long size() {
        return size;
    }

    @Override
    int alignment() {
        return 1;
    }

    @Override
    Stretch stretch(long offset) throws IOException {
        if (!seekable) {
            return new Stretch(false, size);
        }
        long data = QuickCalls.seekData(state, fd, offset);
        if (data == -QuickCalls.ENXIO) {
            return new Stretch(true, size);
        }
        if (data < 0) {
            seekable = false; // the file system or device has no holes to tell of
            return new Stretch(false, size);
        }
        if (data > offset) {
            return new Stretch(true, Math.min(data, size));
        }
        long hole = QuickCalls.seekHole(state, fd, offset);
        return new Stretch(false, hole <= offset ? size : Math.min(hole, size));
    }

    @Override
    void read(MemorySegment target, long offset) throws IOException {
        try (CallState own = CallState.open()) {
            read(own, target.address(), target.byteSize(), offset);
        }
    }

    void read(CallState own, long address, long length, long offset) throws IOException {
        for (long done = 0; done < length; ) {
            long n = QuickCalls.pread(own, fd, address + done, length - done, offset + done);
            if (n > 0) {
                done += n;
            } else if (n == 0) {
                throw new IOException(place + ": became shorter while it was read");
            } else if (n != -QuickCalls.EINTR) {
                throw failed(place, "cannot be read", n);
            }
        }
    }

    /** Any thread, with a state of its own. */
    void write(CallState own, long address, long length, long offset) throws IOException {
        for (long done = 0; done < length; ) {
            long n = QuickCalls.pwrite(own, fd, address + done, length - done, offset + done);
            if (n >= 0) {
                done += n;
            } else if (n != -QuickCalls.EINTR) {
                throw failed(place, "cannot be written", n);
            }
        }
    }

    /** Writes what is in a pipe; takes all of it out even when it fails. Any thread, with a state of its own. */
    void write(CallState own, SocketPipe pipe, long length, long offset) throws IOException {
        for (long done = 0; done < length; ) {
            long n = pipe.write(fd, length - done, offset + done);
            if (n >= 0) {
                done += n;
            } else if (n == -QuickCalls.EINVAL) {
                pipe.giveUp(); // for the next data; files of some file systems take none this way
                writeRead(own, pipe, length - done, offset + done);
                return;
            } else if (n != -QuickCalls.EINTR) {
                pipe.giveUp();
                pipe.discard(length - done);
                throw failed(place, "cannot be written", n);
            }
        }
    }

    private void writeRead(CallState own, SocketPipe pipe, long length, long offset) throws IOException {
        MemorySegment memory = QuickCalls.map(length);
        try {
            pipe.read(memory);
            write(own, memory.address(), length, offset);
        } finally {
            QuickCalls.unmap(memory);
        }
    }

    /** Any thread, with a state of its own. */
    void zero(CallState own, MemorySegment zeroes, long offset, long length) throws IOException {
        if (regular || QuickCalls.zeroOut(own, fd, offset, length) >= 0) {
            return; // a fresh file is a hole
        }
        for (long done = 0; done < length; ) {
            long part = Math.min(zeroes.byteSize(), length - done);
            write(own, zeroes.address(), part, offset + done);
            done += part;
        }
    }

    @Override
    public Writer writer(MemorySegment zeroes) {
        return new Writer(zeroes);
    }

    final class Writer implements FileWriter {
        private final CallState own = CallState.forever();
        private final MemorySegment zeroes;

        private Writer(MemorySegment zeroes) {
            this.zeroes = zeroes;
        }

        @Override
        public void write(Memory memory, int length, long offset) throws IOException {
            FileSide.this.write(own, memory.address(), length, offset);
        }

        /** Writes what is in a pipe; takes all of it out even when it fails. */
        void write(SocketPipe pipe, long length, long offset) throws IOException {
            FileSide.this.write(own, pipe, length, offset);
        }

        @Override
        public void zero(long offset, long length) throws IOException {
            FileSide.this.zero(own, zeroes, offset, length);
        }
    }

    /** From file to file within the kernel. False if the kernel cannot; nothing was copied then. */
    boolean copyRange(FileSide target, long offset, long length) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment from = arena.allocateFrom(ValueLayout.JAVA_LONG, offset);
            MemorySegment to = arena.allocateFrom(ValueLayout.JAVA_LONG, offset);
            for (long done = 0; done < length; ) {
                long n = QuickCalls.copyRange(state, fd, from, target.fd, to, length - done);
                if (n > 0) {
                    done += n;
                } else if (n == 0) {
                    throw new IOException(place + ": became shorter while it was read");
                } else if (done == 0
                        && (n == -QuickCalls.EXDEV
                                || n == -QuickCalls.EINVAL
                                || n == -QuickCalls.EOPNOTSUPP
                                || n == -QuickCalls.ENOSYS)) {
                    return false;
                } else if (n != -QuickCalls.EINTR) {
                    throw failed(target.place, "cannot be written", n);
                }
            }
            return true;
        }
    }

    @Override
    void flush() throws IOException {
        int result = QuickCalls.dataSync(state, fd);
        if (result < 0) {
            throw failed(place, "cannot be made stable", result);
        }
    }

    @Override
    public void close() {
        QuickCalls.close(fd);
    }
}

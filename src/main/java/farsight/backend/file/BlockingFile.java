package farsight.backend.file;

import farsight.backend.Request;
import farsight.sys.CallState;
import farsight.sys.Files;
import farsight.sys.Memory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The calls on a file that may block: all that can be asked of it. Any thread. */
final class BlockingFile {
    private static final int PIECE = 1 << 20;
    private static final long PAGE = 4096;

    private final int fd;
    private final boolean blockDevice;
    private final boolean direct;

    /** Zeroes to write where nothing faster is to be had; aligned as direct access wants it. */
    private final MemorySegment zeroes;

    BlockingFile(int fd, boolean blockDevice, boolean direct) throws IOException {
        this.fd = fd;
        this.blockDevice = blockDevice;
        this.direct = direct;
        zeroes = Memory.map(PIECE);
    }

    /** Whether memory may be read into, or written from, without a copy. */
    boolean takes(long address) {
        return !direct || address % PAGE == 0;
    }

    /** 0, or a positive errno. */
    int call(Request request, CallState state) {
        long offset = request.offset();
        long length = request.length();
        return switch (request.command()) {
            case READ -> read(state, request.address(), length, offset);
            case WRITE -> stable(request, state, write(state, request.address(), length, offset));
            case FLUSH -> -Files.fdatasync(state, fd);
            case TRIM -> stable(request, state, trim(state, offset, length));
            case WRITE_ZEROES -> stable(request, state, zero(state, request));
            case CACHE -> Files.willNeed(state, fd, offset, length);
            case EXTENTS -> extents(state, request, offset, offset + length);
        };
    }

    private int stable(Request request, CallState state, int error) {
        return error == 0 && request.fua() ? -Files.fdatasync(state, fd) : error;
    }

    // ---- reading and writing -------------------------------------------------------------------------------------

    private int read(CallState state, long address, long length, long offset) {
        if (!takes(address)) {
            return throughAligned(state, address, length, offset, false);
        }
        long done = 0;
        while (done < length) {
            long n = Files.pread(state, fd, address + done, length - done, offset + done);
            if (n == 0) {
                return Files.EIO; // the file was cut below us
            }
            if (n < 0 && n != -Files.EINTR) {
                return (int) -n;
            }
            done += Math.max(n, 0);
        }
        return 0;
    }

    private int write(CallState state, long address, long length, long offset) {
        if (!takes(address)) {
            return throughAligned(state, address, length, offset, true);
        }
        long done = 0;
        while (done < length) {
            long n = Files.pwrite(state, fd, address + done, length - done, offset + done);
            if (n < 0 && n != -Files.EINTR) {
                return (int) -n;
            }
            done += Math.max(n, 0);
        }
        return 0;
    }

    /** Direct access needs aligned memory; payload that was received in the middle of something is not. */
    private int throughAligned(CallState state, long address, long length, long offset, boolean writing) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bounce = arena.allocate(length, PAGE);
            MemorySegment payload = farsight.sys.Native.view(address, length);
            if (writing) {
                bounce.copyFrom(payload);
                return write(state, bounce.address(), length, offset);
            }
            int error = read(state, bounce.address(), length, offset);
            if (error == 0) {
                payload.copyFrom(bounce);
            }
            return error;
        }
    }

    // ---- trim and zeroes -----------------------------------------------------------------------------------------

    /** A hint: storage that cannot, does nothing. */
    private int trim(CallState state, long offset, long length) {
        int result = blockDevice ? discard(state, offset, length) : Files.punchHole(state, fd, offset, length);
        return unsupported(result) ? 0 : -result;
    }

    /** Block devices discard whole sectors; what is around them stays, as a hint allows. */
    private int discard(CallState state, long offset, long length) {
        long start = Math.ceilDiv(offset, PAGE) * PAGE;
        long end = (offset + length) / PAGE * PAGE;
        if (start >= end) {
            return 0;
        }
        try (Arena arena = Arena.ofConfined()) {
            return Files.discard(state, fd, arena.allocate(16, 8), start, end - start);
        }
    }

    private int zero(CallState state, Request request) {
        long offset = request.offset();
        long length = request.length();
        int result;
        if (request.fastZero()) {
            result = fastZero(state, offset, length, request.mayTrim());
            return unsupported(result) ? Files.EOPNOTSUPP : -result;
        }
        if (blockDevice) {
            result = (offset | length) % 512 == 0 ? zeroOut(state, offset, length) : -Files.EOPNOTSUPP;
        } else {
            result = fastZero(state, offset, length, request.mayTrim());
        }
        return unsupported(result) ? writeZeroes(state, offset, length) : -result;
    }

    /**
     * Without writing, or not at all. A block device punches a hole only where it need not write zeroes for that
     * (blkdev_fallocate in block/fops.c of Linux).
     */
    private int fastZero(CallState state, long offset, long length, boolean mayTrim) {
        int result = mayTrim ? Files.punchHole(state, fd, offset, length) : -Files.EOPNOTSUPP;
        return unsupported(result) && !blockDevice ? Files.zeroRange(state, fd, offset, length) : result;
    }

    private int zeroOut(CallState state, long offset, long length) {
        try (Arena arena = Arena.ofConfined()) {
            return Files.zeroOut(state, fd, arena.allocate(16, 8), offset, length);
        }
    }

    /** Whether a result says that something else has to be tried. */
    static boolean unsupported(int result) {
        return result == -Files.EOPNOTSUPP
                || result == -Files.ENOSYS
                || result == -Files.ENOTTY
                || result == -Files.EINVAL;
    }

    private int writeZeroes(CallState state, long offset, long length) {
        for (long done = 0; done < length; done += PIECE) {
            int error = write(state, zeroes.address(), Math.min(PIECE, length - done), offset + done);
            if (error != 0) {
                return error;
            }
        }
        return 0;
    }

    // ---- extents -------------------------------------------------------------------------------------------------

    /** Holes as the file system knows them (lseek(2), SEEK_DATA and SEEK_HOLE); block devices are all data. */
    private int extents(CallState state, Request request, long from, long end) {
        if (blockDevice) {
            request.extents().extent(end - from, false, false);
            return 0;
        }
        long at = from;
        while (at < end) {
            long data = Files.seekData(state, fd, at);
            if (data == -Files.ENXIO) {
                if (Files.seekHole(state, fd, end - 1) == -Files.ENXIO) {
                    return Files.EIO; // not a hole at the end of the file: the file was cut below us
                }
                data = end;
            } else if (data < 0) {
                return (int) -data;
            }
            if (data > at) {
                long hole = Math.min(data, end) - at;
                if (!request.extents().extent(hole, true, true)) {
                    return 0;
                }
                at += hole;
            } else {
                long hole = Files.seekHole(state, fd, at);
                if (hole < 0) {
                    return (int) -hole;
                }
                long length = Math.min(hole, end) - at;
                if (length == 0 || !request.extents().extent(length, false, false)) {
                    return length == 0 ? Files.EIO : 0;
                }
                at += length;
            }
        }
        return 0;
    }

    /** Lets go of its memory; the descriptor is not its own. */
    void close() {
        Memory.unmap(zeroes);
    }
}

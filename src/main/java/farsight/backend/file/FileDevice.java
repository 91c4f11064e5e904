package farsight.backend.file;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.config.Sizes;
import farsight.sys.CallState;
import farsight.sys.Files;
import farsight.sys.Memory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/** An open file or block device. Flush is fdatasync(2); trim and zeroes are fallocate(2) or the block ioctls. */
final class FileDevice implements AsyncBlockDevice {
    private static final int THREADS = 16;
    private static final int PIECE = 1 << 20;
    private static final long PAGE = 4096;

    private static final Set<Feature> FEATURES = Collections.unmodifiableSet(EnumSet.of(
            Feature.FLUSH, Feature.FUA, Feature.TRIM, Feature.WRITE_ZEROES, Feature.FAST_ZERO, Feature.EXTENTS));

    private final int fd;
    private final String path;
    private final boolean blockDevice;
    private final boolean readOnly;
    private final boolean direct;
    private final int blockSize;
    private final Workers workers;
    private final Set<Feature> features;

    /** Zeroes to write where nothing faster is to be had; also the alignment that direct access wants. */
    private final MemorySegment zeroes;

    private volatile long size;

    FileDevice(int fd, String path, Files.Kind kind, boolean readOnly, boolean direct) throws IOException {
        this.fd = fd;
        this.path = path;
        this.readOnly = readOnly;
        this.direct = direct;
        blockDevice = kind.isBlockDevice();
        blockSize = direct ? Math.max(512, kind.blockSize()) : 1;
        size = direct ? kind.size() / blockSize * blockSize : kind.size();
        features = features(kind);
        zeroes = Memory.map(PIECE);
        workers = new Workers("file-" + path, THREADS, this::run);
    }

    private static Set<Feature> features(Files.Kind kind) {
        EnumSet<Feature> features = EnumSet.copyOf(FEATURES);
        if (kind.isRegular()) {
            features.add(Feature.QUICK_EXTENTS); // a seek or two; a block device has nothing to tell
        }
        if (RotatingDisk.is(kind.disk())) {
            features.add(Feature.ROTATIONAL);
        }
        return Collections.unmodifiableSet(features);
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public Set<Feature> features() {
        return features;
    }

    @Override
    public boolean readOnly() {
        return readOnly;
    }

    @Override
    public BlockSizes blockSizes() {
        return direct ? new BlockSizes(blockSize, Math.max(4096, blockSize), 64 << 20) : BlockSizes.ANY;
    }

    @Override
    public String description() {
        return (blockDevice ? "block device " : "file ") + path + ", " + Sizes.format(size);
    }

    @Override
    public void submit(Request request) {
        workers.submit(request);
    }

    private void run(Request request, CallState state) {
        int error;
        try {
            error = call(request, state);
        } catch (RuntimeException | AssertionError e) {
            System.getLogger(FileDevice.class.getName())
                    .log(System.Logger.Level.ERROR, path + ": " + request.command() + " failed: " + e, e);
            error = Files.EIO;
        }
        if (error == 0) {
            request.complete();
        } else {
            request.fail(error);
        }
    }

    /** 0, or a positive errno. */
    private int call(Request request, CallState state) {
        long offset = request.offset();
        long length = request.length();
        return switch (request.command()) {
            case READ -> read(state, request.address(), length, offset);
            case WRITE -> stable(request, state, write(state, request.address(), length, offset));
            case FLUSH -> -Files.fdatasync(state, fd);
            case TRIM -> stable(request, state, trim(state, offset, length));
            case WRITE_ZEROES -> stable(request, state, zero(state, request));
            case CACHE -> 0;
            case EXTENTS -> extents(state, request, offset, offset + length);
        };
    }

    private int stable(Request request, CallState state, int error) {
        return error == 0 && request.fua() ? -Files.fdatasync(state, fd) : error;
    }

    // ---- reading and writing -------------------------------------------------------------------------------------

    private int read(CallState state, long address, long length, long offset) {
        if (direct && address % PAGE != 0) {
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
        if (direct && address % PAGE != 0) {
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

    private static boolean unsupported(int result) {
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

    @Override
    public void close() {
        workers.close();
        Files.close(fd);
        Memory.unmap(zeroes);
    }
}

package farsight.backend.file;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.backend.Request.Command;
import farsight.config.Sizes;
import farsight.loop.FileIo;
import farsight.loop.IoLoop;
import farsight.sys.CallState;
import farsight.sys.Files;
import farsight.sys.Process;
import java.io.IOException;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/**
 * An open file or block device. Flush is fdatasync(2); trim and zeroes are fallocate(2) or the block ioctls.
 *
 * <p>A loop with a ring reads and writes by that; on another, what the page cache has is read at once. Everything else
 * that may block is done by threads of the device's own.
 */
final class FileDevice implements AsyncBlockDevice {
    private static final int THREADS = 16;
    private static final long PAGE = Process.pageSize();

    /** Longer writes are mostly copying, and others on the loop would have to wait for that. */
    private static final long LONGEST_AT_ONCE = 256 << 10;

    private static final Set<Feature> FEATURES = Collections.unmodifiableSet(EnumSet.of(
            Feature.FLUSH,
            Feature.FUA,
            Feature.TRIM,
            Feature.WRITE_ZEROES,
            Feature.FAST_ZERO,
            Feature.CACHE,
            Feature.EXTENTS));

    private final int fd;
    private final String path;
    private final boolean blockDevice;
    private final boolean readOnly;
    private final boolean direct;
    private final int blockSize;
    private final Workers workers;
    private final Set<Feature> features;
    private final BlockingFile blocking;
    private final RingFile ring;

    /** Null for a block device, which is all data. */
    private final Holes holes;

    /** Null when reads are not to be sent from the page cache. */
    private final MappedFile mapped;

    /** Whether the file tells what of it is in memory; found out by asking. */
    private volatile boolean tellsCached;

    /** Whether loops may make writes that go to the page cache themselves. */
    private final boolean writtenAtOnce;

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
        tellsCached = !direct;
        blocking = new BlockingFile(fd, blockDevice, direct);
        workers = new Workers("file-" + path, THREADS, this::run);
        // Whoever may not write a file is not told what of it is in memory.
        mapped = blockDevice || direct || readOnly ? null : MappedFile.of(fd, size);
        holes = blockDevice ? null : new Holes(fd, size);
        writtenAtOnce = kind.isRegular() && !direct && !readOnly && Files.isPlainlyLocal(fd);
        ring = new RingFile(fd, blockDevice, blocking, workers);
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
        Command command = request.command();
        if (command == Command.EXTENTS && (holes == null || holes.none())) {
            request.extents().extent(request.length(), false, false);
            request.complete();
            return;
        }
        if (holes != null && (command == Command.TRIM || command == Command.WRITE_ZEROES)) {
            holes.punched();
        }
        IoLoop loop = IoLoop.current();
        if (loop != null && command == Command.READ && mapped != null && mapped.answer(loop, request)) {
            return;
        }
        if (loop != null && command == Command.WRITE && writtenAtOnce && write(loop, request)) {
            return;
        }
        FileIo files = loop == null ? null : loop.files();
        if (files != null) {
            ring.submit(files, request);
        } else if (loop == null || command != Command.READ || !readCached(loop, request)) {
            workers.submit(request);
        }
    }

    /** Reads at once what is in memory; false when a disk would have to be waited for. */
    private boolean readCached(IoLoop loop, Request request) {
        if (!tellsCached) {
            return false;
        }
        long result = loop.readCached(fd, request.address(), request.length(), request.offset());
        if (result == request.length()) {
            request.complete();
            return true;
        }
        if (result == -Files.EOPNOTSUPP) {
            tellsCached = false;
        }
        return false;
    }

    /**
     * Copies whole pages to the page cache on the loop, which is quicker than to hand them over. Nothing of them has to be
     * read from the disk first. What cannot be done like that is left to those who may wait, errors too.
     */
    private boolean write(IoLoop loop, Request request) {
        long length = request.length();
        if (length > LONGEST_AT_ONCE || request.fua() || (request.offset() | length) % PAGE != 0) {
            return false;
        }
        if (loop.writeAtOnce(fd, request.address(), length, request.offset()) != length) {
            return false;
        }
        request.complete();
        return true;
    }

    private void run(Request request, CallState state) {
        int error;
        try {
            error = blocking.call(request, state);
            if (request.command() == Command.EXTENTS) {
                holes.asked(state);
            }
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

    @Override
    public void close() {
        workers.close();
        Files.close(fd);
        blocking.close();
        if (mapped != null) {
            mapped.close();
        }
    }
}

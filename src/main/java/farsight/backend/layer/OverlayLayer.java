package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.ExtentSink;
import farsight.backend.Feature;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * What is written goes into a file ({@link OverlayFile}), and what is below is only read: copy on write. A block that is
 * written in part for the first time takes the rest of it from below; others then wait for this one block.
 */
final class OverlayLayer implements BlockDevice {
    static final List<Setting> SETTINGS = List.of(
            Setting.required("path", Setting.Type.STRING, "the file for what is written; made if there is none"),
            Setting.optional("block", Setting.Type.SIZE, "what is copied at a time, 64KiB unless told; for a new file"),
            Setting.optional("read_only", Setting.Type.BOOLEAN, "a snapshot that other overlays stand on"));

    private static final int BLOCK = 64 << 10;
    private static final int LOCKS = 64;

    private final OverlayFile file;
    private final Synchronous base;
    private final boolean readOnly;
    private final Object[] locks = new Object[LOCKS];

    OverlayLayer(OverlayFile file, AsyncBlockDevice below, boolean readOnly) throws IOException {
        this.file = file;
        this.readOnly = readOnly;
        base = new Synchronous(below);
        for (int i = 0; i < LOCKS; i++) {
            locks[i] = new Object();
        }
    }

    static Device over(AsyncBlockDevice below, Settings settings) throws IOException {
        String path = settings.string("path").orElseThrow();
        long block = settings.number("block").orElse(BLOCK);
        if (!OverlayFile.validBlock(block)) {
            throw OverlayFile.wrong(path, "block is a power of two from 4KiB to 2MiB, not " + block);
        }
        boolean readOnly = settings.flag("read_only");
        FileDisk disk = FileDisk.open(path, !readOnly, !readOnly);
        try {
            OverlayFile file = readOnly
                    ? OverlayFile.open(disk, path, false)
                    : OverlayFile.openOrCreate(disk, below.size(), (int) block, below.description(), path);
            if (file.size() != below.size()) {
                throw new DeviceException(
                        Errno.EINVAL,
                        path + ": belongs over storage of " + file.size() + " bytes, and this has " + below.size());
            }
            return new OverlayLayer(file, below, readOnly);
        } catch (IOException | RuntimeException e) {
            disk.close();
            throw e;
        }
    }

    // ---- reading -------------------------------------------------------------------------------------------------

    @Override
    public void read(MemorySegment target, long offset) throws IOException {
        long end = offset + target.byteSize();
        long at = offset;
        while (at < end) {
            long run = file.run(at, end);
            MemorySegment piece = target.asSlice(at - offset, Math.abs(run));
            if (run > 0) {
                file.read(piece, at);
            } else {
                base.read(piece, at);
            }
            at += piece.byteSize();
        }
    }

    @Override
    public void extents(long offset, long length, ExtentSink sink) throws IOException {
        long end = offset + length;
        long at = offset;
        boolean[] wanted = {true};
        while (at < end && wanted[0]) {
            long run = file.run(at, end);
            if (run > 0) {
                own(at, at + run, sink, wanted);
            } else if (base.device().features().contains(Feature.EXTENTS)) {
                base.extents(at, -run, new BelowSink(sink, -run, wanted));
            } else {
                wanted[0] = sink.extent(-run, false, false, 2);
            }
            at += Math.abs(run);
        }
    }

    private void own(long from, long end, ExtentSink sink, boolean[] wanted) throws IOException {
        long at = from;
        while (at < end && wanted[0]) {
            long data = file.data(at, end);
            boolean hole = data > at;
            long to = hole ? data : file.hole(at, end);
            wanted[0] = sink.extent(to - at, hole, hole, 1);
            at = to;
        }
    }

    /** What is below tells of its blocks, of which only a range counts. */
    private static final class BelowSink implements ExtentSink {
        private final ExtentSink sink;
        private final boolean[] wanted;
        private long left;

        BelowSink(ExtentSink sink, long left, boolean[] wanted) {
            this.sink = sink;
            this.left = left;
            this.wanted = wanted;
        }

        @Override
        public boolean extent(long length, boolean hole, boolean zero) {
            return extent(length, hole, zero, hole ? 0 : 1);
        }

        @Override
        public boolean extent(long length, boolean hole, boolean zero, int depth) {
            long inside = Math.min(length, left);
            left -= inside;
            wanted[0] = sink.extent(inside, hole, zero, depth == 0 ? 0 : depth + 1);
            return wanted[0] && left > 0;
        }
    }

    @Override
    public void cache(long offset, long length) throws IOException {
        base.cache(offset, length);
    }

    // ---- writing -------------------------------------------------------------------------------------------------

    @Override
    public void write(MemorySegment source, long offset) throws IOException {
        long end = offset + source.byteSize();
        long at = offset;
        while (at < end) {
            long run = file.run(at, end);
            long length = run > 0 ? run : Math.min(end, blockEnd(at)) - at;
            MemorySegment piece = source.asSlice(at - offset, length);
            if (run > 0) {
                file.write(piece, at);
            } else {
                writeFirst(piece, at);
            }
            at += length;
        }
    }

    private long blockEnd(long at) {
        return Math.min(size(), (at / file.block() + 1) * file.block());
    }

    private Object lock(long index) {
        return locks[(int) (index % LOCKS)];
    }

    /** Within a block that the overlay did not have a moment ago. */
    private void writeFirst(MemorySegment piece, long at) throws IOException {
        long index = at / file.block();
        long start = index * file.block();
        long whole = blockEnd(at) - start;
        synchronized (lock(index)) {
            if (file.has(index) || piece.byteSize() == whole) {
                file.write(piece, at);
            } else {
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment all = arena.allocate(whole);
                    base.read(all, start);
                    MemorySegment.copy(piece, 0, all, at - start, piece.byteSize());
                    file.write(all, start);
                }
            }
            file.add(index);
        }
    }

    @Override
    public void zero(long offset, long length, boolean mayTrim) throws IOException {
        long end = offset + length;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment zeroes = arena.allocate(Math.min(length, file.block()));
            long at = offset;
            while (at < end) {
                long to = Math.min(end, blockEnd(at));
                boolean whole = at % file.block() == 0 && to == blockEnd(at);
                if (whole && mayTrim) {
                    long index = at / file.block();
                    synchronized (lock(index)) {
                        file.punch(at, to - at);
                        file.add(index);
                    }
                } else {
                    write(zeroes.asSlice(0, to - at), at);
                }
                at = to;
            }
        }
    }

    /** Only what the overlay has takes space here; what is below stays as it is. */
    @Override
    public void trim(long offset, long length) throws IOException {
        long block = file.block();
        long at = Math.ceilDiv(offset, block) * block;
        long end = offset + length == size() ? size() : (offset + length) / block * block;
        while (at < end) {
            long run = file.run(at, end);
            if (run > 0) {
                file.punch(at, run);
            }
            at += Math.abs(run);
        }
    }

    @Override
    public void flush() throws IOException {
        if (!readOnly) {
            file.flush();
        }
    }

    // ---- what it is ----------------------------------------------------------------------------------------------

    @Override
    public long size() {
        return file.size();
    }

    @Override
    public Set<Feature> features() {
        EnumSet<Feature> features = EnumSet.of(Feature.EXTENTS, Feature.DEPTH);
        if (!readOnly) {
            features.addAll(Set.of(Feature.FLUSH, Feature.TRIM, Feature.WRITE_ZEROES));
        }
        if (base.device().features().contains(Feature.CACHE)) {
            features.add(Feature.CACHE);
        }
        return Collections.unmodifiableSet(features);
    }

    @Override
    public boolean readOnly() {
        return readOnly;
    }

    @Override
    public int concurrency() {
        return 16;
    }

    @Override
    public BlockSizes blockSizes() {
        return new BlockSizes(1, Math.max(4096, Math.min(file.block(), 64 << 10)), 32 << 20);
    }

    @Override
    public String description() {
        return "overlay over " + base.device().description();
    }

    @Override
    public boolean lost() {
        return base.device().lost();
    }

    @Override
    public void whenLost(Runnable told) {
        base.device().whenLost(told);
    }

    @Override
    public void close() throws IOException {
        try {
            flush();
        } finally {
            file.close();
            base.close();
        }
    }
}

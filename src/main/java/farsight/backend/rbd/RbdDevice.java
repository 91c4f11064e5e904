package farsight.backend.rbd;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.ExtentSink;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.backend.Settings;
import farsight.bindings.rbd.Rbd;
import farsight.config.Sizes;
import farsight.sys.ErrnoException;
import farsight.sys.EventFd;
import farsight.sys.Memory;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * An open image. Requests go to librbd's asynchronous calls with their own memory; librbd signals an event descriptor that
 * the home loop watches, which then takes all finished ones at once. Resizes by others are seen.
 */
final class RbdDevice implements AsyncBlockDevice {
    private static final Logger LOG = System.getLogger(RbdDevice.class.getName());
    private static final int BATCH = 128;

    /** Block status is asked for by calls that block; as many of them at once. */
    private static final int BLOCKING_THREADS = 4;

    /** What a cache hint reads at once: an object of the usual size. */
    private static final int CACHE_PIECE = 4 << 20;

    private static final int SHORT_READ = Errno.EIO;

    private static final Set<Feature> FEATURES = Collections.unmodifiableSet(
            EnumSet.of(Feature.FLUSH, Feature.TRIM, Feature.WRITE_ZEROES, Feature.CACHE, Feature.EXTENTS));

    private final RadosCluster cluster;
    private final ImageSpec spec;
    private final boolean readOnly;
    private final MemorySegment pool;
    private final MemorySegment image;
    private final long handle;
    private final EventFd events = new EventFd();
    private final PendingRequests pending = new PendingRequests();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment finished = arena.allocate(ValueLayout.JAVA_LONG, BATCH);

    /** For the few calls that block. */
    private final ThreadPoolExecutor blocking;

    private final SizeWatch watch;
    /** Where cache hints read to, all of them, since nobody looks; null before the first one. */
    private MemorySegment scratch;

    private final LostWatch lostWatch;

    private volatile long size;
    private volatile boolean lost;

    /** Whom to tell when it becomes lost; null when there is nobody. */
    private Runnable told;

    private RbdDevice(
            RadosCluster cluster,
            ImageSpec spec,
            boolean readOnly,
            boolean batch,
            MemorySegment pool,
            MemorySegment image)
            throws IOException {
        this.cluster = cluster;
        this.spec = spec;
        this.readOnly = readOnly;
        this.pool = pool;
        this.image = image;
        handle = image.address();
        size = currentSize();
        RbdError.check(
                Rbd.rbd_set_image_notification(image, events.fd(), Rbd.EVENT_TYPE_EVENTFD()),
                "rbd image " + spec + ": completions by eventfd");
        blocking = new ThreadPoolExecutor(
                BLOCKING_THREADS,
                BLOCKING_THREADS,
                10,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                Thread.ofPlatform().name("rbd-" + spec + "-", 0).daemon(true).factory());
        blocking.allowCoreThreadTimeOut(true);
        watch = new SizeWatch(image, () -> blocking.execute(this::resized));
        lostWatch = new LostWatch(image, pending, this::lose);
        if (batch) {
            BatchScheduling.PROCESS.add(pending);
        }
    }

    /**
     * Opens an image, which lets go of the cluster when it is closed. Blocks.
     *
     * @param batch whether its threads may be scheduled in batches
     */
    static RbdDevice open(RadosCluster cluster, ImageSpec spec, Settings export, boolean batch) throws IOException {
        MemorySegment pool = cluster.openPool(spec.pool(), spec.namespace());
        boolean readOnly = export.flag("read_only") || !spec.snapshot().isEmpty();
        MemorySegment image = null;
        try {
            image = openImage(pool, spec, readOnly);
            if (export.has("passphrase_file")) {
                Encryption.load(image, spec, export);
            }
            return new RbdDevice(cluster, spec, readOnly, batch, pool, image);
        } catch (IOException | RuntimeException e) {
            if (image != null) {
                Rbd.rbd_close(image);
            }
            RadosCluster.closePool(pool);
            throw e;
        }
    }

    private static MemorySegment openImage(MemorySegment pool, ImageSpec spec, boolean readOnly)
            throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            MemorySegment name = arena.allocateFrom(spec.image());
            MemorySegment snapshot =
                    spec.snapshot().isEmpty() ? MemorySegment.NULL : arena.allocateFrom(spec.snapshot());
            int result = readOnly
                    ? Rbd.rbd_open_read_only(pool, name, out, snapshot)
                    : Rbd.rbd_open(pool, name, out, snapshot);
            RbdError.check(result, "rbd image " + spec);
            return out.get(ValueLayout.ADDRESS, 0);
        }
    }

    private long currentSize() throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            RbdError.check(Rbd.rbd_get_size(image, out), "rbd image " + spec + ": its size");
            return out.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    // ---- Device --------------------------------------------------------------------------------------------------

    @Override
    public long size() {
        return size;
    }

    @Override
    public Set<Feature> features() {
        return FEATURES;
    }

    @Override
    public boolean readOnly() {
        return readOnly;
    }

    @Override
    public BlockSizes blockSizes() {
        return BlockSizes.ANY;
    }

    @Override
    public boolean lost() {
        return lost;
    }

    @Override
    public String description() {
        return "rbd image " + spec + ", " + Sizes.format(size);
    }

    // ---- requests ------------------------------------------------------------------------------------------------

    @Override
    public void submit(Request request) {
        if (request.command() == Request.Command.EXTENTS) {
            blocking.execute(() -> extents(request));
        } else {
            start(request);
        }
    }

    private void start(Request request) {
        int index = pending.add(request);
        int result = RbdCalls.createCompletion(index, pending.cell(index));
        if (result == 0) {
            long completion = pending.value(index);
            result = call(request, completion);
            if (result < 0) {
                RbdCalls.release(completion);
            }
        }
        if (result < 0) {
            // A call that fails at once signals nothing.
            pending.remove(index);
            fail(request, -result);
        }
    }

    private int call(Request request, long completion) {
        long offset = request.offset();
        long length = request.length();
        return switch (request.command()) {
            case READ -> RbdCalls.read(handle, offset, length, request.address(), completion);
            case WRITE -> RbdCalls.write(handle, offset, length, request.address(), completion);
            case FLUSH -> RbdCalls.flush(handle, completion);
            case TRIM -> RbdCalls.discard(handle, offset, length, completion);
            case WRITE_ZEROES ->
                RbdCalls.writeZeroes(handle, offset, length, completion, request.mayTrim() ? 0 : RbdCalls.THICK);
            case CACHE -> cache(offset + request.tag(), length - request.tag(), completion);
            case EXTENTS -> -Errno.ENOTSUP; // not by a completion
        };
    }

    /**
     * Reads a piece to nowhere, with the advice that the object store should keep what it read. (There is no such advice
     * without reading. librbd's compare-and-write has no command in NBD that it could serve.)
     */
    private int cache(long offset, long left, long completion) {
        if (scratch == null) {
            try {
                scratch = Memory.map(CACHE_PIECE);
            } catch (ErrnoException e) {
                return -e.errno();
            }
        }
        return RbdCalls.readAhead(handle, offset, Math.min(left, CACHE_PIECE), scratch.address(), completion);
    }

    @Override
    public int completionDescriptor() {
        return events.fd();
    }

    @Override
    public void reap() {
        int count;
        while ((count = RbdCalls.poll(handle, finished.address(), BATCH)) > 0) {
            for (int i = 0; i < count; i++) {
                completed(finished.getAtIndex(ValueLayout.JAVA_LONG, i));
            }
        }
    }

    private void completed(long completion) {
        long result = RbdCalls.returnValue(completion);
        Request request = pending.remove((int) RbdCalls.argument(completion));
        RbdCalls.release(completion);
        if (result < 0) {
            fail(request, (int) -result);
        } else if (request.command() == Request.Command.READ && result < request.length()) {
            fail(request, SHORT_READ); // the image was made smaller below us
        } else if (request.command() == Request.Command.CACHE && request.length() - request.tag() > CACHE_PIECE) {
            request.tag(request.tag() + CACHE_PIECE);
            start(request);
        } else {
            request.complete();
        }
    }

    private void fail(Request request, int errno) {
        if (errno == Errno.ESHUTDOWN && !lost) {
            lose();
        }
        request.fail(errno);
    }

    /** The cluster does not listen to this client any more. Any thread. */
    private void lose() {
        Runnable waiting;
        synchronized (this) {
            if (lost) {
                return;
            }
            lost = true;
            waiting = told;
        }
        cluster.lost();
        lostWatch.stop();
        BatchScheduling.PROCESS.remove(pending);
        LOG.log(
                Level.ERROR,
                "rbd image {0}: this client is blocklisted; its connections are closed and the image is opened anew",
                spec);
        if (waiting != null) {
            waiting.run();
        }
    }

    @Override
    public void whenLost(Runnable waiting) {
        synchronized (this) {
            told = waiting;
            if (!lost) {
                return;
            }
        }
        waiting.run();
    }

    private void resized() {
        try {
            long now = currentSize();
            if (now != size) {
                LOG.log(
                        Level.INFO,
                        "rbd image {0}: resized from {1} to {2}",
                        spec,
                        Sizes.format(size),
                        Sizes.format(now));
                size = now;
            }
        } catch (DeviceException e) {
            LOG.log(Level.WARNING, e.getMessage());
        }
    }

    private void extents(Request request) {
        ExtentSink sink = request.extents();
        int result = new DiffExtents(request.offset(), request.length(), sink).run(image);
        if (result < 0) {
            fail(request, -result);
        } else {
            request.complete();
        }
    }

    @Override
    public void close() throws IOException {
        BatchScheduling.PROCESS.remove(pending);
        watch.close();
        blocking.shutdown();
        boolean idle = false;
        try {
            idle = lostWatch.close() && blocking.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (!idle) {
            throw new IOException("rbd image " + spec + ": librbd does not come back from a call; it is left open");
        }
        int result = Rbd.rbd_close(image);
        RadosCluster.closePool(pool);
        cluster.release();
        events.close();
        pending.close();
        arena.close();
        if (scratch != null) {
            Memory.unmap(scratch);
        }
        if (!lost) {
            RbdError.check(result, "rbd image " + spec + ": closing");
        }
    }
}

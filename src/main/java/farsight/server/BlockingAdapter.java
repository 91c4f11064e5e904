package farsight.server;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.sys.ErrnoException;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Runs the blocking calls of a {@link BlockDevice} on threads of its own, as many as it allows. The queue is bounded by
 * what connections may have in flight.
 */
final class BlockingAdapter implements AsyncBlockDevice {
    private static final Logger LOG = System.getLogger(BlockingAdapter.class.getName());

    /** More threads than this only wait for each other. */
    private static final int MOST_THREADS = 64;

    private final BlockDevice device;
    private final String name;
    private final ExecutorService threads;

    BlockingAdapter(String name, BlockDevice device) {
        this.name = name;
        this.device = device;
        int count = Math.clamp(device.concurrency(), 1, MOST_THREADS);
        ThreadPoolExecutor pool = new ThreadPoolExecutor(
                count,
                count,
                10,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                Thread.ofPlatform().name("export-" + name + "-", 0).daemon(true).factory());
        pool.allowCoreThreadTimeOut(true);
        threads = pool;
    }

    @Override
    public void submit(Request request) {
        threads.execute(() -> run(request));
    }

    private void run(Request request) {
        try {
            call(request);
        } catch (DeviceException e) {
            failed(request, e, e.errno());
            return;
        } catch (ErrnoException e) {
            failed(request, e, e.errno());
            return;
        } catch (IOException | RuntimeException | AssertionError e) {
            failed(request, e, Errno.EIO);
            return;
        }
        request.complete();
    }

    private void failed(Request request, Throwable cause, int errno) {
        LOG.log(Level.WARNING, "export ''{0}'': {1} at {2}: {3}", name, request.command(), request.offset(), cause);
        request.fail(errno);
    }

    private void call(Request request) throws IOException {
        long offset = request.offset();
        long length = request.length();
        switch (request.command()) {
            case READ -> device.read(request.buffer(), offset);
            case WRITE -> write(request.buffer(), offset, request.fua());
            case FLUSH -> device.flush();
            case TRIM -> device.trim(offset, length);
            case WRITE_ZEROES -> zero(request, offset, length);
            case CACHE -> device.cache(offset, length);
            case EXTENTS -> device.extents(offset, length, request.extents());
        }
    }

    private void write(MemorySegment source, long offset, boolean stable) throws IOException {
        if (stable) {
            device.writeStable(source, offset);
        } else {
            device.write(source, offset);
        }
    }

    private void zero(Request request, long offset, long length) throws IOException {
        device.zero(offset, length, request.mayTrim());
        if (request.fua()) {
            device.flush();
        }
    }

    @Override
    public long size() {
        return device.size();
    }

    @Override
    public Set<Feature> features() {
        return device.features();
    }

    @Override
    public boolean readOnly() {
        return device.readOnly();
    }

    @Override
    public BlockSizes blockSizes() {
        return device.blockSizes();
    }

    @Override
    public String description() {
        return device.description();
    }

    @Override
    public boolean lost() {
        return device.lost();
    }

    @Override
    public void whenLost(Runnable told) {
        device.whenLost(told);
    }

    @Override
    public MemorySegment memory() {
        return device.memory();
    }

    @Override
    public void written(long offset, long length) {
        device.written(offset, length);
    }

    @Override
    public void announced(long[] offsets, int count) {
        device.announced(offsets, count);
    }

    @Override
    public void close() throws IOException {
        threads.shutdown();
        try {
            threads.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        device.close();
    }
}

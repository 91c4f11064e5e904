package farsight.backend.memory;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.config.Sizes;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.GranuleMap;
import farsight.sys.Memory;
import farsight.sys.Process;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;

/**
 * One mapping of memory. Pages that were never written, or that were trimmed, take no memory; the kernel keeps that
 * account. A map of its own says where data may be: mincore(2) would not do, as pages that are swapped out look to it as
 * if they had never been. Requests complete at once, but for clearing much.
 */
final class MemoryDevice implements AsyncBlockDevice {
    private static final long PAGE = Process.pageSize();

    /** What a hole is made of. */
    private static final long GRANULE = 64 << 10;

    /** More than this is not cleared on the loop that asks, byte by byte or page by page. */
    private static final long LONG_FILL = 1 << 20;

    private static final long LONG_DISCARD = 256 << 20;

    private static final Set<Feature> FEATURES = Collections.unmodifiableSet(EnumSet.of(
            Feature.FLUSH,
            Feature.FUA,
            Feature.TRIM,
            Feature.WRITE_ZEROES,
            Feature.FAST_ZERO,
            Feature.CACHE,
            Feature.EXTENTS,
            Feature.QUICK_EXTENTS));

    private static final Executor CLEANER = cleaner();

    private final MemorySegment memory;
    private final long size;
    private final LongConsumer onClose;
    private final GranuleMap written;

    /** Pages that are there, as far as is known: what may be looked at before it is written. */
    private final GranuleMap present;

    /** What became of the bytes that were looked at; never written in fact. */
    private int seen;

    MemoryDevice(long size, LongConsumer onClose) throws ErrnoException {
        this.size = size;
        this.onClose = onClose;
        memory = Memory.map(Math.ceilDiv(size, PAGE) * PAGE);
        GranuleMap map = null;
        try {
            map = new GranuleMap(size, GRANULE);
            present = new GranuleMap(size, PAGE);
        } catch (ErrnoException e) {
            if (map != null) {
                map.close();
            }
            Memory.unmap(memory);
            throw e;
        }
        written = map;
    }

    private static Executor cleaner() {
        ThreadPoolExecutor threads = new ThreadPoolExecutor(
                1,
                1,
                10,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                Thread.ofPlatform().name("memory-clearing").daemon(true).factory());
        threads.allowCoreThreadTimeOut(true);
        return threads;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public Set<Feature> features() {
        return FEATURES;
    }

    @Override
    public MemorySegment memory() {
        return memory;
    }

    @Override
    public void written(long offset, long length) {
        written.mark(offset, length);
        present.mark(offset, length);
    }

    /**
     * Reads a byte of each place. Their addresses are then translated, and their first lines fetched, at the same time and
     * not each while its write waits. That only works when the processor has nothing to do between these reads but the
     * next one, by which they have a loop of their own. Pages that are not there are left alone, since to read one would
     * make it a page of zeroes, and the write a second fault.
     */
    @Override
    public void announced(long[] offsets, int count) {
        int there = 0;
        for (int i = 0; i < count; i++) {
            if (present.isMarked(offsets[i])) {
                offsets[there++] = offsets[i];
            }
        }
        int sum = 0;
        for (int i = 0; i < there; i++) {
            sum += memory.get(ValueLayout.JAVA_BYTE, offsets[i]);
        }
        if (sum == Integer.MIN_VALUE) {
            seen = sum; // so that the compiler does not leave the loop out
        }
    }

    @Override
    public String description() {
        return Sizes.format(size) + " of memory";
    }

    @Override
    public void submit(Request request) {
        long offset = request.offset();
        long length = request.length();
        switch (request.command()) {
            case READ -> MemorySegment.copy(memory, offset, request.buffer(), 0, length);
            case WRITE -> {
                MemorySegment.copy(request.buffer(), 0, memory, offset, length);
                written(offset, length);
            }
            case TRIM, WRITE_ZEROES -> {
                boolean giveBack = request.command() == Request.Command.TRIM || request.mayTrim();
                if (length > (giveBack ? LONG_DISCARD : LONG_FILL)) {
                    CLEANER.execute(() -> {
                        clear(offset, length, giveBack);
                        request.complete();
                    });
                    return;
                }
                clear(offset, length, giveBack);
            }
            case FLUSH, CACHE -> {} // memory is as stable, and as near, as it gets
            case EXTENTS -> extents(request);
        }
        request.complete();
    }

    /** Whole pages go back to the system, which reads them as zeroes; the rest is written. */
    private void clear(long offset, long length, boolean giveBack) {
        long end = offset + length;
        long firstPage = Math.ceilDiv(offset, PAGE) * PAGE;
        long lastPage = end == size ? memory.byteSize() : end / PAGE * PAGE;
        if (giveBack) {
            // Before the data goes: a write that comes in between marks its range after its data is here.
            written.clear(offset, length);
            present.clear(offset, length);
        }
        if (!giveBack || firstPage >= lastPage || !discarded(firstPage, lastPage - firstPage)) {
            memory.asSlice(offset, length).fill((byte) 0);
            return;
        }
        memory.asSlice(offset, firstPage - offset).fill((byte) 0);
        if (lastPage < end) {
            memory.asSlice(lastPage, end - lastPage).fill((byte) 0);
        }
    }

    private boolean discarded(long offset, long length) {
        try (CallState state = CallState.open()) {
            Memory.discard(state, memory.address() + offset, length);
            return true;
        } catch (ErrnoException e) {
            return false; // locked memory, for one, cannot be given back
        }
    }

    private void extents(Request request) {
        long at = request.offset();
        long end = at + request.length();
        boolean wanted = true;
        while (at < end && wanted) {
            long run = written.run(at, end);
            boolean hole = run < 0;
            wanted = request.extents().extent(Math.abs(run), hole, hole);
            at += Math.abs(run);
        }
    }

    @Override
    public void close() {
        Memory.unmap(memory);
        written.close();
        present.close();
        onClose.accept(size);
    }
}

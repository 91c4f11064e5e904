package farsight.backend.memory;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.config.Sizes;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.Memory;
import farsight.sys.Process;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import java.util.function.LongConsumer;

/**
 * One mapping of memory. Pages that were never written, or that were trimmed, take no memory; the kernel keeps that
 * account. All requests complete at once.
 */
final class MemoryDevice implements AsyncBlockDevice {
    private static final long PAGE = Process.pageSize();

    private static final Set<Feature> FEATURES = Collections.unmodifiableSet(
            EnumSet.of(Feature.FLUSH, Feature.FUA, Feature.TRIM, Feature.WRITE_ZEROES, Feature.CACHE));

    private final MemorySegment memory;
    private final long size;
    private final LongConsumer onClose;

    MemoryDevice(long size, LongConsumer onClose) throws ErrnoException {
        this.size = size;
        this.onClose = onClose;
        memory = Memory.map(Math.ceilDiv(size, PAGE) * PAGE);
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
    public String description() {
        return Sizes.format(size) + " of memory";
    }

    @Override
    public void submit(Request request) {
        long offset = request.offset();
        long length = request.length();
        switch (request.command()) {
            case READ -> MemorySegment.copy(memory, offset, request.buffer(), 0, length);
            case WRITE -> MemorySegment.copy(request.buffer(), 0, memory, offset, length);
            case TRIM -> clear(offset, length, true);
            case WRITE_ZEROES -> clear(offset, length, request.mayTrim());
            case FLUSH, CACHE -> {} // memory is as stable, and as near, as it gets
            case EXTENTS -> {
                request.fail(Errno.ENOTSUP);
                return;
            }
        }
        request.complete();
    }

    /** Whole pages go back to the system, which reads them as zeroes; the rest is written. */
    private void clear(long offset, long length, boolean giveBack) {
        long end = offset + length;
        long firstPage = Math.ceilDiv(offset, PAGE) * PAGE;
        long lastPage = end / PAGE * PAGE;
        if (!giveBack || firstPage >= lastPage || !discarded(firstPage, lastPage - firstPage)) {
            memory.asSlice(offset, length).fill((byte) 0);
            return;
        }
        memory.asSlice(offset, firstPage - offset).fill((byte) 0);
        memory.asSlice(lastPage, end - lastPage).fill((byte) 0);
    }

    private boolean discarded(long offset, long length) {
        try (CallState state = CallState.open()) {
            Memory.discard(state, memory.address() + offset, length);
            return true;
        } catch (ErrnoException e) {
            return false; // locked memory, for one, cannot be given back
        }
    }

    @Override
    public void close() {
        Memory.unmap(memory);
        onClose.accept(size);
    }
}

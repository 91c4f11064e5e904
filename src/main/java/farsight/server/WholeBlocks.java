package farsight.server;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.backend.Request.Command;
import farsight.sys.ErrnoException;
import farsight.sys.Memory;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/**
 * Serves any byte of storage that takes whole blocks only. What is aligned goes through as it is, without a copy; blocks
 * that a request covers in part are read, changed and written back, while nobody else may change them
 * ({@link BlockLocks}). Trims are cut to whole blocks, which a hint allows; zeroes are not. Any thread.
 */
final class WholeBlocks implements AsyncBlockDevice {
    /** How many operations may have bounce memory at the same time; more of them wait for their turn. */
    private static final int MOST_BOUNCES = 64;

    /** Small requests are read and written in one go with their neighbourhood. */
    private static final int SMALL = 32 << 10;

    private final AsyncBlockDevice storage;
    private final int block;
    private final int atOnce;
    private final BlockSizes sizes;
    private final BlockLocks locks;

    /** All under the lock of {@link #bounces}: memory that is free, operations that are free, those that need memory. */
    private final MemorySegment[] bounces = new MemorySegment[MOST_BOUNCES];

    private int bouncesMade;
    private int bouncesFree;
    private BlockOperation free;
    private BlockOperation firstWaiting;
    private BlockOperation lastWaiting;

    WholeBlocks(AsyncBlockDevice storage) {
        this.storage = storage;
        BlockSizes inner = storage.blockSizes();
        block = inner.minimum();
        atOnce = Math.max(block, Math.min(Math.max(2 * block, SMALL), inner.maximum()) / block * block);
        sizes = new BlockSizes(1, inner.preferred(), inner.maximum());
        locks = new BlockLocks(block, MOST_BOUNCES);
    }

    AsyncBlockDevice storage() {
        return storage;
    }

    // ---- requests ------------------------------------------------------------------------------------------------

    @Override
    public void submit(Request request) {
        long from = request.offset();
        long to = from + request.length();
        long roundedFrom = from & -block;
        long roundedTo = (to + block - 1) & -block;
        boolean aligned = from == roundedFrom && to == roundedTo;
        switch (request.command()) {
            case FLUSH -> storage.submit(request);
            case READ -> {
                if (aligned) {
                    storage.submit(request);
                } else {
                    partly(request, roundedFrom, roundedTo);
                }
            }
            case CACHE, EXTENTS -> {
                if (aligned) {
                    storage.submit(request);
                } else {
                    BlockOperation operation = take();
                    operation.direct(request, roundedFrom, roundedTo);
                    operation.go();
                }
            }
            case TRIM -> trim(request, (from + block - 1) & -block, to & -block);
            case WRITE, WRITE_ZEROES -> {
                if (aligned) {
                    wholly(request, from, to);
                } else {
                    partly(request, roundedFrom, roundedTo);
                }
            }
        }
    }

    private void trim(Request request, long from, long to) {
        if (from < to) {
            wholly(request, from, to);
        } else {
            request.complete();
        }
    }

    private void wholly(Request request, long from, long to) {
        BlockOperation operation = take();
        operation.direct(request, from, to);
        operation.locked = true;
        if (locks.acquire(operation)) {
            operation.go();
        }
    }

    private void partly(Request request, long roundedFrom, long roundedTo) {
        BlockOperation operation = take();
        operation.edges(request, roundedFrom, roundedTo, block, atOnce);
        if (request.command() == Command.WRITE_ZEROES && request.fastZero() && !operation.hasMiddle()) {
            // Parts of blocks are written like any data, and nothing else is asked for.
            finished(operation);
            request.fail(Errno.ENOTSUP);
            return;
        }
        operation.locked = request.command() != Command.READ;
        try {
            if (hasBounce(operation) && (!operation.locked || locks.acquire(operation))) {
                operation.go();
            }
        } catch (ErrnoException e) {
            operation.locked = false;
            finished(operation);
            request.fail(e.errno());
        }
    }

    /** The end of an operation: what it held goes to those that wait. */
    void finished(BlockOperation operation) {
        if (operation.locked) {
            BlockOperation granted = locks.release(operation);
            while (granted != null) {
                BlockOperation rest = granted.link;
                granted.link = null;
                granted.resume();
                granted = rest;
            }
        }
        BlockOperation next;
        synchronized (bounces) {
            next = passBounce(operation);
            operation.recycle();
            operation.link = free;
            free = operation;
        }
        if (next != null && (!next.locked || locks.acquire(next))) {
            next.resume();
        }
    }

    // ---- operations and their memory -----------------------------------------------------------------------------

    private BlockOperation take() {
        synchronized (bounces) {
            BlockOperation operation = free;
            if (operation == null) {
                return new BlockOperation(this);
            }
            free = operation.link;
            operation.link = null;
            return operation;
        }
    }

    /** Gives it memory, or lets it wait for some. */
    private boolean hasBounce(BlockOperation operation) throws ErrnoException {
        synchronized (bounces) {
            if (bouncesFree > 0) {
                operation.bounce = bounces[--bouncesFree];
            } else if (bouncesMade < MOST_BOUNCES) {
                operation.bounce = Memory.map(atOnce);
                bouncesMade++;
            } else {
                if (firstWaiting == null) {
                    firstWaiting = operation;
                } else {
                    lastWaiting.link = operation;
                }
                lastWaiting = operation;
                return false;
            }
            return true;
        }
    }

    /** The one whose turn it is to have the memory of an operation; null when nobody waits or it had none. */
    private BlockOperation passBounce(BlockOperation operation) {
        MemorySegment memory = operation.bounce;
        operation.bounce = null;
        if (memory == null) {
            return null;
        }
        BlockOperation next = firstWaiting;
        if (next == null) {
            bounces[bouncesFree++] = memory;
            return null;
        }
        firstWaiting = next.link;
        next.link = null;
        next.bounce = memory;
        return next;
    }

    // ---- what it is ----------------------------------------------------------------------------------------------

    @Override
    public void submitted() {
        storage.submitted();
    }

    @Override
    public int completionDescriptor() {
        return storage.completionDescriptor();
    }

    @Override
    public void reap() {
        storage.reap();
    }

    /** Whole blocks only: the rest of a last one that is not whole cannot be reached. */
    @Override
    public long size() {
        return storage.size() & -block;
    }

    @Override
    public Set<Feature> features() {
        return storage.features();
    }

    @Override
    public boolean readOnly() {
        return storage.readOnly();
    }

    @Override
    public BlockSizes blockSizes() {
        return sizes;
    }

    @Override
    public String description() {
        return storage.description();
    }

    @Override
    public boolean lost() {
        return storage.lost();
    }

    @Override
    public void whenLost(Runnable told) {
        storage.whenLost(told);
    }

    @Override
    public void close() throws IOException {
        synchronized (bounces) {
            while (bouncesFree > 0) {
                Memory.unmap(bounces[--bouncesFree]);
            }
        }
        storage.close();
    }
}

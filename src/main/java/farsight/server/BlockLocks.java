package farsight.server;

/**
 * Which blocks are being changed. Writes of whole blocks may overlap, as on any disk; a block that is read, changed and
 * written back is changed by nobody else meanwhile. Who has to wait is remembered with the one it waits for, in the
 * order of coming, so that nobody waits for ever. The lock of this object is only ever held for a few comparisons. Any
 * thread.
 */
final class BlockLocks {
    private final int block;

    /** Those that change parts of blocks, under way or waiting: as many as there is memory for them. */
    private final BlockOperation[] partial;

    private int partials;

    /** Those that write whole blocks and are under way. */
    private BlockOperation whole;

    private long tickets;

    BlockLocks(int block, int mostPartial) {
        this.block = block;
        partial = new BlockOperation[mostPartial];
    }

    /** True when the operation may go on; otherwise a {@link #release} will give it back. */
    synchronized boolean acquire(BlockOperation operation) {
        operation.ticket = tickets++;
        if (operation.changesPart()) {
            partial[partials++] = operation;
        }
        return grant(operation);
    }

    private boolean grant(BlockOperation operation) {
        BlockOperation other = obstacle(operation);
        if (other != null) {
            other.addWaiter(operation);
            return false;
        }
        operation.granted = true;
        if (!operation.changesPart()) {
            operation.previous = null;
            operation.following = whole;
            if (whole != null) {
                whole.previous = operation;
            }
            whole = operation;
        }
        return true;
    }

    /** One that it has to wait for: under way, or of those who came earlier. */
    private BlockOperation obstacle(BlockOperation operation) {
        for (int i = 0; i < partials; i++) {
            BlockOperation other = partial[i];
            if (other != operation
                    && (other.granted || other.ticket < operation.ticket)
                    && (inWay(other, operation) || inWay(operation, other))) {
                return other;
            }
        }
        if (operation.changesPart()) {
            for (BlockOperation other = whole; other != null; other = other.following) {
                if (inWay(operation, other)) {
                    return other;
                }
            }
        }
        return null;
    }

    /** Whether {@code other} touches a block of which {@code operation} changes a part. */
    private boolean inWay(BlockOperation operation, BlockOperation other) {
        return touches(operation.headBlock, other) || touches(operation.tailBlock, other);
    }

    private boolean touches(long at, BlockOperation other) {
        return at >= 0 && other.first < at + block && at < other.end;
    }

    /** Ends an operation. Those that may go on now are returned, linked by {@link BlockOperation#link}. */
    synchronized BlockOperation release(BlockOperation operation) {
        operation.granted = false;
        if (operation.changesPart()) {
            int at = 0;
            while (partial[at] != operation) {
                at++;
            }
            partial[at] = partial[--partials];
            partial[partials] = null;
        } else {
            unlink(operation);
        }
        BlockOperation first = null;
        BlockOperation last = null;
        BlockOperation waiter = operation.takeWaiters();
        while (waiter != null) {
            BlockOperation rest = waiter.link;
            waiter.link = null;
            if (grant(waiter)) {
                if (first == null) {
                    first = waiter;
                } else {
                    last.link = waiter;
                }
                last = waiter;
            }
            waiter = rest;
        }
        return first;
    }

    private void unlink(BlockOperation operation) {
        if (operation.previous == null) {
            whole = operation.following;
        } else {
            operation.previous.following = operation.following;
        }
        if (operation.following != null) {
            operation.following.previous = operation.previous;
        }
        operation.previous = null;
        operation.following = null;
    }
}

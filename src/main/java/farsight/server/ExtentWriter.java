package farsight.server;

import farsight.backend.ExtentSink;
import farsight.protocol.Nbd;
import farsight.protocol.ReplyChunk;
import farsight.sys.GranuleMap;
import java.lang.foreign.MemorySegment;

/**
 * Writes what is known of a range as descriptors of a block status reply: neighbours of one kind are one descriptor, none
 * reaches past the range, and there are at most as many as fit. Belongs to the request's owner.
 */
final class ExtentWriter implements ExtentSink {
    private MemorySegment target;
    private boolean extended;
    private int size;
    private long left;
    private int most;
    private int count;
    private long lastLength;
    private int lastState;

    /** Whether layers are written instead of holes and zeroes. */
    private boolean depth;

    /** @param most descriptors, at least 1 */
    void begin(MemorySegment target, boolean extended, long range, int most) {
        this.target = target;
        this.extended = extended;
        size = ReplyChunk.descriptorSize(extended);
        left = range;
        this.most = (int) Math.min(most, target.byteSize() / size);
        count = 0;
        lastLength = 0;
        depth = false;
    }

    /** Which layer data comes from is what is asked. */
    void depth() {
        depth = true;
    }

    @Override
    public boolean extent(long length, boolean hole, boolean zero, int layer) {
        return depth ? add(length, layer) : extent(length, hole, zero);
    }

    @Override
    public boolean extent(long length, boolean hole, boolean zero) {
        if (depth) {
            return add(length, hole ? 0 : 1);
        }
        return add(length, (hole ? Nbd.NBD_STATE_HOLE : 0) | (zero ? Nbd.NBD_STATE_ZERO : 0));
    }

    /** What of a range was changed. */
    void dirty(GranuleMap map, long offset) {
        long at = offset;
        long end = offset + left;
        boolean wanted = true;
        while (at < end && wanted) {
            long run = map.run(at, end);
            wanted = add(Math.abs(run), run > 0 ? Nbd.FARSIGHT_STATE_DIRTY : 0);
            at += Math.abs(run);
        }
    }

    private boolean add(long length, int state) {
        long inside = Math.min(length, left);
        if (count > 0 && lastState == state) {
            lastLength += inside;
        } else if (count == most) {
            return false;
        } else {
            count++;
            lastLength = inside;
            lastState = state;
        }
        ReplyChunk.descriptor(target, (count - 1L) * size, extended, lastLength, state);
        left -= inside;
        return left > 0;
    }

    int count() {
        return count;
    }

    /** Bytes written. */
    int bytes() {
        return count * size;
    }
}

package farsight.server;

import farsight.backend.ExtentSink;
import farsight.protocol.Nbd;
import farsight.protocol.Wire;
import java.lang.foreign.MemorySegment;

/**
 * Writes what a device tells of a range as descriptors of a block status reply: neighbours of one kind are one
 * descriptor, none reaches past the range, and there are at most as many as fit. Belongs to the request's owner.
 */
final class ExtentWriter implements ExtentSink {
    private static final int DESCRIPTOR = 8;

    private MemorySegment target;
    private long left;
    private int most;
    private int count;

    /** @param most descriptors, at least 1 */
    void begin(MemorySegment target, long range, int most) {
        this.target = target;
        this.left = range;
        this.most = Math.min(most, (int) (target.byteSize() / DESCRIPTOR));
        count = 0;
    }

    @Override
    public boolean extent(long length, boolean hole, boolean zero) {
        long inside = Math.min(length, left);
        int state = (hole ? Nbd.NBD_STATE_HOLE : 0) | (zero ? Nbd.NBD_STATE_ZERO : 0);
        if (count > 0 && target.get(Wire.INT, (count - 1) * (long) DESCRIPTOR + 4) == state) {
            // The range is below 2^32, so the sum fits as well.
            long last = Integer.toUnsignedLong(target.get(Wire.INT, (count - 1) * (long) DESCRIPTOR));
            target.set(Wire.INT, (count - 1) * (long) DESCRIPTOR, (int) (last + inside));
        } else if (count == most) {
            return false;
        } else {
            target.set(Wire.INT, count * (long) DESCRIPTOR, (int) inside);
            target.set(Wire.INT, count * (long) DESCRIPTOR + 4, state);
            count++;
        }
        left -= inside;
        return left > 0;
    }

    /** Bytes written. */
    int bytes() {
        return count * DESCRIPTOR;
    }
}

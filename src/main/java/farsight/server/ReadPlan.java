package farsight.server;

import farsight.backend.ExtentSink;

/**
 * Which parts of a read are zeroes that need not be sent: runs of data and of zeroes in turn, as the device told them
 * beforehand. What it did not tell is data. Belongs to the request's owner.
 */
final class ReadPlan implements ExtentSink {
    /** Runs that one read is cut into at most. */
    private static final int MOST = 64;

    /** Zeroes that are fewer than this are sent: a chunk of their own would save nothing. */
    private static final long LEAST_ZEROES = 4096;

    private final long[] ends = new long[MOST];
    private final boolean[] zeroes = new boolean[MOST];
    private long range;
    private int block;
    private long told;
    private int count;
    private int current;

    /**
     * Starts with nothing but data.
     *
     * @param block what runs have to be multiples of, so that the device can be asked for them; a power of two
     */
    void begin(long range, int block) {
        this.range = range;
        this.block = block;
        told = 0;
        count = 0;
        current = 0;
    }

    @Override
    public boolean extent(long length, boolean hole, boolean zero) {
        long inside = Math.min(length, range - told);
        boolean skipped = zero && inside >= LEAST_ZEROES && ((told | inside) & (block - 1)) == 0;
        if (count > 0 && zeroes[count - 1] == skipped) {
            ends[count - 1] += inside;
        } else if (count == MOST) {
            return false;
        } else {
            ends[count] = told + inside;
            zeroes[count++] = skipped;
        }
        told += inside;
        return told < range;
    }

    /** Whether the byte at {@code done} is among zeroes. Asked with values that do not fall. */
    boolean zeroAt(long done) {
        while (current < count && ends[current] <= done) {
            current++;
        }
        return current < count && zeroes[current];
    }

    /** How many bytes from {@code done} on are as the first one. */
    long run(long done) {
        zeroAt(done);
        if (current == count || current == count - 1 && !zeroes[current]) {
            return range - done;
        }
        return ends[current] - done;
    }
}

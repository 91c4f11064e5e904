package farsight.client;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * Buffers over native memory that others own, for calls that take no addresses. One that was made is used again for what
 * lies nearby: making one takes longer than most calls. One thread at a time.
 */
final class Views {
    private static final int BITS = 20;
    private static final int LONGEST = 1 << 30;

    /** From a multiple of their step on, two steps long. */
    private final ByteBuffer[] kept = new ByteBuffer[2];

    private final long[] bases = new long[2];
    private int turn;

    /** A buffer of just those bytes, until the next call. Its memory has to be there until it is used no more. */
    ByteBuffer of(long address, long length) {
        if (length > 1 << BITS) {
            return view(address, Math.min(length, LONGEST));
        }
        long base = address >>> BITS << BITS;
        if (kept[turn] == null || bases[turn] != base) {
            turn ^= 1;
            if (kept[turn] == null || bases[turn] != base) {
                kept[turn] = view(base, 2L << BITS);
                bases[turn] = base;
            }
        }
        int start = (int) (address - base);
        return kept[turn].clear().position(start).limit(start + (int) length);
    }

    @SuppressWarnings("restricted")
    private static ByteBuffer view(long address, long length) {
        return MemorySegment.ofAddress(address).reinterpret(length).asByteBuffer();
    }
}

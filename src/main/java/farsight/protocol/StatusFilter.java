package farsight.protocol;

import java.lang.foreign.MemorySegment;

/**
 * The payload of NBD_CMD_BLOCK_STATUS: how far, and which of the negotiated contexts (proto.md, extended headers,
 * NBD_FLAG_BLOCK_STATUS_PAYLOAD). Allocates nothing.
 */
public final class StatusFilter {
    private static final int EFFECT = 8;

    /** The longest payload that can be right, in bytes: a length and each context once. */
    public static final int LARGEST = EFFECT + Integer.BYTES * MetaContext.values().length;

    private StatusFilter() {}

    /** Whether a payload of that many bytes can be right. */
    public static boolean possible(long bytes) {
        return bytes > EFFECT && bytes <= LARGEST && bytes % Integer.BYTES == 0;
    }

    /** How many bytes of the export are asked about; unsigned. */
    public static long length(MemorySegment payload) {
        return payload.get(Wire.LONG, 0);
    }

    /**
     * The contexts that are asked for, as ids in one number.
     *
     * @param bytes of the payload, {@link #possible}
     * @param negotiated ids in one number
     * @return 0 when one is unknown or there twice, which is NBD_EINVAL
     */
    public static int contexts(MemorySegment payload, long bytes, int negotiated) {
        int asked = 0;
        for (long at = EFFECT; at < bytes; at += Integer.BYTES) {
            int id = payload.get(Wire.INT, at);
            if (Integer.bitCount(id) != 1 || (id & negotiated) == 0 || (id & asked) != 0) {
                return 0;
            }
            asked |= id;
        }
        return asked;
    }
}

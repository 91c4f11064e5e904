package farsight.client;

import farsight.protocol.Nbd;
import farsight.protocol.RequestHeader;
import farsight.protocol.Wire;
import java.lang.foreign.MemorySegment;

/** Requests as they travel, with either header (proto.md, "Compact requests", "Extended requests"). Allocates nothing. */
final class Requests {
    /** Bytes of the longer header. */
    static final int LONGEST = 32;

    private Requests() {}

    /** Writes a header; returns its bytes. */
    static int write(
            MemorySegment memory, boolean extended, int flags, int type, long cookie, long offset, long length) {
        if (!extended) {
            RequestHeader.write(memory, 0, flags, type, cookie, offset, length);
            return RequestHeader.SIZE;
        }
        // "NBD_CMD_WRITE MUST set the flag": with extended headers the length of a write is that of its payload.
        int all = type == Nbd.NBD_CMD_WRITE ? flags | Nbd.NBD_CMD_FLAG_PAYLOAD_LEN : flags;
        memory.set(Wire.INT, 0, Nbd.NBD_EXTENDED_REQUEST_MAGIC);
        memory.set(Wire.SHORT, 4, (short) all);
        memory.set(Wire.SHORT, 6, (short) type);
        memory.set(Wire.LONG, 8, cookie);
        memory.set(Wire.LONG, 16, offset);
        memory.set(Wire.LONG, 24, length);
        return LONGEST;
    }
}

package farsight.client;

import farsight.protocol.Nbd;
import farsight.protocol.RequestHeader;
import java.nio.ByteBuffer;

/** Requests as they travel, with either header (proto.md, "Compact requests", "Extended requests"). Allocates nothing. */
final class Requests {
    /** Bytes of the longer header. */
    static final int LONGEST = 32;

    private Requests() {}

    /** Writes a header; returns its bytes. */
    static int write(ByteBuffer to, boolean extended, int flags, int type, long cookie, long offset, long length) {
        // "NBD_CMD_WRITE MUST set the flag": with extended headers the length of a write is that of its payload.
        int all = extended && type == Nbd.NBD_CMD_WRITE ? flags | Nbd.NBD_CMD_FLAG_PAYLOAD_LEN : flags;
        to.putInt(0, extended ? Nbd.NBD_EXTENDED_REQUEST_MAGIC : Nbd.NBD_REQUEST_MAGIC);
        to.putShort(4, (short) all);
        to.putShort(6, (short) type);
        to.putLong(8, cookie);
        to.putLong(16, offset);
        if (extended) {
            to.putLong(24, length);
            return LONGEST;
        }
        to.putInt(24, (int) length);
        return RequestHeader.SIZE;
    }
}

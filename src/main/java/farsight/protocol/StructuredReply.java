package farsight.protocol;

import java.lang.foreign.MemorySegment;

/** The headers of structured reply chunks (proto.md, "Structured reply chunk message"). Allocates nothing. */
public final class StructuredReply {
    /** Bytes before the payload of any chunk. */
    public static final int HEADER = 20;

    /** Bytes of a header with the offset that comes before data. */
    public static final int DATA_HEADER = HEADER + 8;

    /** Bytes of a whole error chunk without a text. */
    public static final int ERROR_SIZE = HEADER + 6;

    /** Bytes of a header with the context that comes before descriptors. */
    public static final int STATUS_HEADER = HEADER + 4;

    private StructuredReply() {}

    private static void header(MemorySegment memory, long at, int type, long cookie, long length) {
        memory.set(Wire.INT, at, Nbd.NBD_STRUCTURED_REPLY_MAGIC);
        memory.set(Wire.SHORT, at + 4, (short) Nbd.NBD_REPLY_FLAG_DONE);
        memory.set(Wire.SHORT, at + 6, (short) type);
        memory.set(Wire.LONG, at + 8, cookie);
        memory.set(Wire.INT, at + 16, (int) length);
    }

    /** What comes before all data of a read, in its one chunk. */
    public static void data(MemorySegment memory, long at, long cookie, long offset, long length) {
        header(memory, at, Nbd.NBD_REPLY_TYPE_OFFSET_DATA, cookie, length + 8);
        memory.set(Wire.LONG, at + HEADER, offset);
    }

    /** The end of a request without data: success. */
    public static void none(MemorySegment memory, long at, long cookie) {
        header(memory, at, Nbd.NBD_REPLY_TYPE_NONE, cookie, 0);
    }

    /** The end of a request that failed. */
    public static void error(MemorySegment memory, long at, int error, long cookie) {
        header(memory, at, Nbd.NBD_REPLY_TYPE_ERROR, cookie, 6);
        memory.set(Wire.INT, at + HEADER, error);
        memory.set(Wire.SHORT, at + HEADER + 4, (short) 0);
    }

    /** What comes before the descriptors of a block status. */
    public static void status(MemorySegment memory, long at, long cookie, int context, long descriptorBytes) {
        header(memory, at, Nbd.NBD_REPLY_TYPE_BLOCK_STATUS, cookie, descriptorBytes + 4);
        memory.set(Wire.INT, at + HEADER, context);
    }
}

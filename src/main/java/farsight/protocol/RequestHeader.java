package farsight.protocol;

import java.lang.foreign.MemorySegment;

/** A request as it travels, compact or extended (proto.md, "Request message"). Allocates nothing. */
public final class RequestHeader {
    /** Bytes with a 32-bit length. */
    public static final int SIZE = 28;

    /** Bytes with a 64-bit length: the same up to there (NBD_OPT_EXTENDED_HEADERS). */
    public static final int EXTENDED_SIZE = 32;

    private static final long FLAGS = 4;
    private static final long TYPE = 6;
    private static final long COOKIE = 8;
    private static final long OFFSET = 16;
    private static final long LENGTH = 24;

    private RequestHeader() {}

    public static int magic(MemorySegment memory, long at) {
        return memory.get(Wire.INT, at);
    }

    /** NBD_CMD_FLAG_*, 0 to 65535. */
    public static int flags(MemorySegment memory, long at) {
        return Short.toUnsignedInt(memory.get(Wire.SHORT, at + FLAGS));
    }

    /** NBD_CMD_*, 0 to 65535. */
    public static int type(MemorySegment memory, long at) {
        return Short.toUnsignedInt(memory.get(Wire.SHORT, at + TYPE));
    }

    public static long cookie(MemorySegment memory, long at) {
        return memory.get(Wire.LONG, at + COOKIE);
    }

    /** Unsigned: negative means 2^63 or more. */
    public static long offset(MemorySegment memory, long at) {
        return memory.get(Wire.LONG, at + OFFSET);
    }

    /** 0 to 2^32-1. */
    public static long length(MemorySegment memory, long at) {
        return Integer.toUnsignedLong(memory.get(Wire.INT, at + LENGTH));
    }

    /** Of an extended request. Unsigned: negative means 2^63 or more. */
    public static long extendedLength(MemorySegment memory, long at) {
        return memory.get(Wire.LONG, at + LENGTH);
    }

    /** Writes a whole extended request header. */
    public static void writeExtended(
            MemorySegment memory, long at, int flags, int type, long cookie, long offset, long length) {
        write(memory, at, flags, type, cookie, offset, 0);
        memory.set(Wire.INT, at, Nbd.NBD_EXTENDED_REQUEST_MAGIC);
        memory.set(Wire.LONG, at + LENGTH, length);
    }

    /** Writes a whole compact request header. */
    public static void write(
            MemorySegment memory, long at, int flags, int type, long cookie, long offset, long length) {
        memory.set(Wire.INT, at, Nbd.NBD_REQUEST_MAGIC);
        memory.set(Wire.SHORT, at + FLAGS, (short) flags);
        memory.set(Wire.SHORT, at + TYPE, (short) type);
        memory.set(Wire.LONG, at + COOKIE, cookie);
        memory.set(Wire.LONG, at + OFFSET, offset);
        memory.set(Wire.INT, at + LENGTH, (int) length);
    }
}

package farsight.protocol;

import java.lang.foreign.MemorySegment;

/** A simple reply as it travels, before its payload (proto.md, "Simple reply message"). Allocates nothing. */
public final class SimpleReply {
    /** Bytes. */
    public static final int SIZE = 16;

    private static final long ERROR = 4;
    private static final long COOKIE = 8;

    private SimpleReply() {}

    public static int magic(MemorySegment memory, long at) {
        return memory.get(Wire.INT, at);
    }

    /** An error value, 0 for success. */
    public static int error(MemorySegment memory, long at) {
        return memory.get(Wire.INT, at + ERROR);
    }

    public static long cookie(MemorySegment memory, long at) {
        return memory.get(Wire.LONG, at + COOKIE);
    }

    public static void write(MemorySegment memory, long at, int error, long cookie) {
        memory.set(Wire.INT, at, Nbd.NBD_SIMPLE_REPLY_MAGIC);
        memory.set(Wire.INT, at + ERROR, error);
        memory.set(Wire.LONG, at + COOKIE, cookie);
    }
}

package farsight.protocol;

import java.lang.foreign.MemorySegment;

/** The header of an option as it travels from the client (proto.md, "Option haggling"). */
public final class OptionHeader {
    /** Bytes. */
    public static final int SIZE = 16;

    private static final long OPTION = 8;
    private static final long LENGTH = 12;

    private OptionHeader() {}

    public static long magic(MemorySegment memory, long at) {
        return memory.get(Wire.LONG, at);
    }

    /** NBD_OPT_*. */
    public static int option(MemorySegment memory, long at) {
        return memory.get(Wire.INT, at + OPTION);
    }

    /** Bytes of data that follow, 0 to 2^32-1. */
    public static long length(MemorySegment memory, long at) {
        return Integer.toUnsignedLong(memory.get(Wire.INT, at + LENGTH));
    }

    public static void write(MemorySegment memory, long at, int option, int length) {
        memory.set(Wire.LONG, at, Nbd.IHAVEOPT);
        memory.set(Wire.INT, at + OPTION, option);
        memory.set(Wire.INT, at + LENGTH, length);
    }
}

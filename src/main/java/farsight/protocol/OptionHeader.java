package farsight.protocol;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/** The header of an option as it travels from the client (proto.md, "Option haggling"). */
public final class OptionHeader {
    /** Bytes. */
    public static final int SIZE = 16;

    private static final int OPTION = 8;
    private static final int LENGTH = 12;

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

    public static void write(ByteBuffer to, int option, int length) {
        to.putLong(0, Nbd.IHAVEOPT);
        to.putInt(OPTION, option);
        to.putInt(LENGTH, length);
    }
}

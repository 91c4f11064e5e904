package farsight.protocol;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Chunks of structured and of extended replies, up to where data or descriptors follow from elsewhere (proto.md,
 * "Structured reply chunk message", "Extended reply chunk message"). Every method writes at {@code at} and returns how
 * many bytes it wrote. Allocates nothing.
 */
public final class ReplyChunk {
    /** Bytes of a structured chunk before its payload. */
    public static final int HEADER = 20;

    /** Bytes of an extended chunk before its payload. */
    public static final int EXTENDED_HEADER = 32;

    /** The longest text of an error chunk that is sent, in bytes. */
    public static final int MOST_TEXT = 256;

    /** More bytes than any method here writes. */
    public static final int LARGEST = EXTENDED_HEADER + 14 + MOST_TEXT;

    private static final int COOKIE = 8;
    private static final int OFFSET = 16;
    private static final int LENGTH = 16;
    private static final int EXTENDED_LENGTH = 24;

    private ReplyChunk() {}

    /**
     * What every chunk begins with.
     *
     * @param extended whether extended headers were negotiated
     * @param start the offset of the request, which extended chunks repeat
     * @param length bytes that follow
     */
    static int header(
            MemorySegment memory,
            long at,
            boolean extended,
            int type,
            boolean done,
            long cookie,
            long start,
            long length) {
        memory.set(Wire.INT, at, extended ? Nbd.NBD_EXTENDED_REPLY_MAGIC : Nbd.NBD_STRUCTURED_REPLY_MAGIC);
        memory.set(Wire.SHORT, at + 4, (short) (done ? Nbd.NBD_REPLY_FLAG_DONE : 0));
        memory.set(Wire.SHORT, at + 6, (short) type);
        memory.set(Wire.LONG, at + COOKIE, cookie);
        if (extended) {
            memory.set(Wire.LONG, at + OFFSET, start);
            memory.set(Wire.LONG, at + EXTENDED_LENGTH, length);
            return EXTENDED_HEADER;
        }
        memory.set(Wire.INT, at + LENGTH, (int) length);
        return HEADER;
    }

    /** What comes before {@code length} bytes of data from {@code offset} on. */
    public static int data(
            MemorySegment memory,
            long at,
            boolean extended,
            boolean done,
            long cookie,
            long start,
            long offset,
            long length) {
        int size =
                header(memory, at, extended, Nbd.NBD_REPLY_TYPE_OFFSET_DATA, done, cookie, start, Long.BYTES + length);
        memory.set(Wire.LONG, at + size, offset);
        return size + Long.BYTES;
    }

    /** A range that reads as zeroes; at most 2^32-1 bytes. */
    public static int hole(
            MemorySegment memory,
            long at,
            boolean extended,
            boolean done,
            long cookie,
            long start,
            long offset,
            long length) {
        int size = header(
                memory, at, extended, Nbd.NBD_REPLY_TYPE_OFFSET_HOLE, done, cookie, start, Long.BYTES + Integer.BYTES);
        memory.set(Wire.LONG, at + size, offset);
        memory.set(Wire.INT, at + size + Long.BYTES, (int) length);
        return size + Long.BYTES + Integer.BYTES;
    }

    /** The end of a request without further content. */
    public static int none(MemorySegment memory, long at, boolean extended, long cookie, long start) {
        return header(memory, at, extended, Nbd.NBD_REPLY_TYPE_NONE, true, cookie, start, 0);
    }

    /**
     * The end of a request that failed.
     *
     * @param text UTF-8 for people, of which at most {@link #MOST_TEXT} bytes are sent
     */
    public static int error(
            MemorySegment memory, long at, boolean extended, long cookie, long start, int error, byte[] text) {
        int length = textLength(text);
        int size = header(
                memory,
                at,
                extended,
                Nbd.NBD_REPLY_TYPE_ERROR,
                true,
                cookie,
                start,
                Integer.BYTES + Short.BYTES + length);
        return size + errorBody(memory, at + size, error, text, length);
    }

    /** The end of a request that failed at an offset within it. */
    public static int errorOffset(
            MemorySegment memory,
            long at,
            boolean extended,
            long cookie,
            long start,
            int error,
            byte[] text,
            long offset) {
        int length = textLength(text);
        int size = header(
                memory,
                at,
                extended,
                Nbd.NBD_REPLY_TYPE_ERROR_OFFSET,
                true,
                cookie,
                start,
                Integer.BYTES + Short.BYTES + length + Long.BYTES);
        size += errorBody(memory, at + size, error, text, length);
        memory.set(Wire.LONG, at + size, offset);
        return size + Long.BYTES;
    }

    private static int errorBody(MemorySegment memory, long at, int error, byte[] text, int length) {
        memory.set(Wire.INT, at, error);
        memory.set(Wire.SHORT, at + Integer.BYTES, (short) length);
        MemorySegment.copy(text, 0, memory, ValueLayout.JAVA_BYTE, at + Integer.BYTES + Short.BYTES, length);
        return Integer.BYTES + Short.BYTES + length;
    }

    /** At most what is sent, and whole characters. */
    private static int textLength(byte[] text) {
        int length = Math.min(text.length, MOST_TEXT);
        while (length < text.length && length > 0 && (text[length] & 0xc0) == 0x80) {
            length--;
        }
        return length;
    }

    /**
     * What comes before the descriptors of a block status.
     *
     * @param count descriptors, of {@link #descriptorSize} bytes each
     */
    public static int status(
            MemorySegment memory,
            long at,
            boolean extended,
            boolean done,
            long cookie,
            long start,
            int context,
            int count) {
        long descriptors = (long) count * descriptorSize(extended);
        if (!extended) {
            int size = header(
                    memory,
                    at,
                    false,
                    Nbd.NBD_REPLY_TYPE_BLOCK_STATUS,
                    done,
                    cookie,
                    start,
                    Integer.BYTES + descriptors);
            memory.set(Wire.INT, at + size, context);
            return size + Integer.BYTES;
        }
        int size = header(
                memory,
                at,
                true,
                Nbd.NBD_REPLY_TYPE_BLOCK_STATUS_EXT,
                done,
                cookie,
                start,
                2 * Integer.BYTES + descriptors);
        memory.set(Wire.INT, at + size, context);
        memory.set(Wire.INT, at + size + Integer.BYTES, count);
        return size + 2 * Integer.BYTES;
    }

    /** Bytes of one descriptor of a block status. */
    public static int descriptorSize(boolean extended) {
        return extended ? 2 * Long.BYTES : 2 * Integer.BYTES;
    }

    /** One descriptor of a block status. */
    public static void descriptor(MemorySegment memory, long at, boolean extended, long length, int state) {
        if (extended) {
            memory.set(Wire.LONG, at, length);
            memory.set(Wire.LONG, at + Long.BYTES, state);
        } else {
            memory.set(Wire.INT, at, (int) length);
            memory.set(Wire.INT, at + Integer.BYTES, state);
        }
    }
}

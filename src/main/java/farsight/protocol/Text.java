package farsight.protocol;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Strings of the protocol: UTF-8, without NUL, at most 4096 bytes (proto.md, "Values"). */
public final class Text {
    /** How much of a name that somebody sent is repeated in a message. */
    private static final int QUOTED = 80;

    private Text() {}

    /**
     * Reads a string.
     *
     * @param what for messages, such as "export name"
     */
    public static String read(MemorySegment memory, String what) throws ProtocolException {
        checkLength(memory.byteSize(), what);
        return read(memory.toArray(ValueLayout.JAVA_BYTE), what);
    }

    /** Likewise, all of a buffer. */
    public static String read(ByteBuffer memory, String what) throws ProtocolException {
        checkLength(memory.capacity(), what);
        byte[] bytes = new byte[memory.capacity()];
        memory.get(0, bytes);
        return read(bytes, what);
    }

    private static void checkLength(long bytes, String what) throws ProtocolException {
        if (bytes > Nbd.MAX_STRING) {
            throw new ProtocolException(
                    "the " + what + " has " + bytes + " bytes; at most " + Nbd.MAX_STRING + " are allowed");
        }
    }

    private static String read(byte[] bytes, String what) throws ProtocolException {
        for (byte b : bytes) {
            if (b == 0) {
                throw new ProtocolException("the " + what + " has a NUL in it");
            }
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new ProtocolException("the " + what + " is not UTF-8");
        }
    }

    /** A name for use in a message: short, and without characters that could confuse a terminal. */
    public static String quote(String name) {
        String start = name.length() <= QUOTED ? name : name.substring(0, QUOTED) + "...";
        return "'" + start.replaceAll("\\p{Cntrl}", "?") + "'";
    }
}

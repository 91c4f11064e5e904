package farsight.protocol;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** What a server says in the handshake, collected until it is sent (proto.md, "Newstyle negotiation", "Option reply types"). */
public final class OptionReplies {
    private static final int EXPORT_INFO_SIZE = 12;
    private static final int BLOCK_SIZE_INFO_SIZE = 14;

    private ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
    private DataOutputStream out = new DataOutputStream(bytes);

    /** One piece of a message; memory does not fail. */
    private interface Piece {
        void write(DataOutputStream out) throws IOException;
    }

    private void add(Piece piece) {
        try {
            piece.write(out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public boolean isEmpty() {
        return bytes.size() == 0;
    }

    /** All of it, off-heap; the collection is empty afterwards. */
    public MemorySegment take(Arena arena) {
        MemorySegment taken = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes.toByteArray());
        bytes = new ByteArrayOutputStream(256);
        out = new DataOutputStream(bytes);
        return taken;
    }

    /** The first bytes of a connection. */
    public void greeting() {
        add(o -> {
            o.writeLong(Nbd.NBD_MAGIC);
            o.writeLong(Nbd.IHAVEOPT);
            o.writeShort(Nbd.NBD_FLAG_FIXED_NEWSTYLE | Nbd.NBD_FLAG_NO_ZEROES);
        });
    }

    private void header(int option, int reply, int length) {
        add(o -> {
            o.writeLong(Nbd.NBD_REP_MAGIC);
            o.writeInt(option);
            o.writeInt(reply);
            o.writeInt(length);
        });
    }

    public void ack(int option) {
        header(option, Nbd.NBD_REP_ACK, 0);
    }

    /** A refusal with a text for people. */
    public void error(int option, int reply, String why) {
        byte[] text = truncated(why);
        header(option, reply, text.length);
        add(o -> o.write(text));
    }

    /** One export of NBD_OPT_LIST; its description may be empty. */
    public void server(String name, String description) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        byte[] details = truncated(description);
        header(Nbd.NBD_OPT_LIST, Nbd.NBD_REP_SERVER, 4 + text.length + details.length);
        add(o -> {
            o.writeInt(text.length);
            o.write(text);
            o.write(details);
        });
    }

    /** The answer to NBD_OPT_EXPORT_NAME, which has no header. */
    public void exportName(long size, int transmissionFlags, boolean zeroes) {
        add(o -> {
            o.writeLong(size);
            o.writeShort(transmissionFlags);
            o.write(new byte[zeroes ? 124 : 0]);
        });
    }

    /** One context of NBD_OPT_LIST_META_CONTEXT or NBD_OPT_SET_META_CONTEXT. */
    public void metaContext(int option, int id, String name) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        header(option, Nbd.NBD_REP_META_CONTEXT, 4 + text.length);
        add(o -> {
            o.writeInt(id);
            o.write(text);
        });
    }

    public void infoExport(int option, long size, int transmissionFlags) {
        header(option, Nbd.NBD_REP_INFO, EXPORT_INFO_SIZE);
        add(o -> {
            o.writeShort(Nbd.NBD_INFO_EXPORT);
            o.writeLong(size);
            o.writeShort(transmissionFlags);
        });
    }

    /** NBD_INFO_NAME or NBD_INFO_DESCRIPTION. */
    public void infoText(int option, int type, String text) {
        byte[] encoded = truncated(text);
        header(option, Nbd.NBD_REP_INFO, 2 + encoded.length);
        add(o -> {
            o.writeShort(type);
            o.write(encoded);
        });
    }

    public void infoBlockSize(int option, int minimum, int preferred, int maximum) {
        header(option, Nbd.NBD_REP_INFO, BLOCK_SIZE_INFO_SIZE);
        add(o -> {
            o.writeShort(Nbd.NBD_INFO_BLOCK_SIZE);
            o.writeInt(minimum);
            o.writeInt(preferred);
            o.writeInt(maximum);
        });
    }

    /** At most what the protocol allows for a string, cut between characters. */
    private static byte[] truncated(String text) {
        byte[] encoded = String.valueOf(text).getBytes(StandardCharsets.UTF_8);
        if (encoded.length <= Nbd.MAX_STRING) {
            return encoded;
        }
        int end = Nbd.MAX_STRING;
        while ((encoded[end] & 0xc0) == 0x80) {
            end--;
        }
        return java.util.Arrays.copyOf(encoded, end);
    }
}

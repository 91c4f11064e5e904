package farsight.server;

import farsight.protocol.Nbd;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A client that says whatever a test wants it to and checks the form of all that it hears (proto.md). It shares no code
 * with the client of this project. Used by one thread.
 */
final class RawClient implements AutoCloseable {
    private static final long IHAVEOPT = 0x49484156454f5054L;
    private static final long OPTION_REPLY = 0x3e889045565a9L;

    /** One reply to an option. */
    record OptionReply(int option, int type, byte[] data) {
        boolean isError() {
            return type < 0;
        }

        String text() {
            return new String(data, StandardCharsets.UTF_8);
        }
    }

    /** One piece of a reply: what was read, a hole, extents or an error. */
    record Chunk(int type, long offset, byte[] data) {}

    /** All that a request was answered with. */
    record Reply(long cookie, int error, List<Chunk> chunks) {}

    private record Asked(int type, long offset, long length) {}

    private final SocketChannel channel;
    private final Map<Long, Asked> asked = new HashMap<>();
    private final Map<Long, List<Chunk>> unfinished = new HashMap<>();
    private boolean structured;
    private boolean extended;
    private long size;
    private int flags;

    /** What is to be sent at once, later; null when everything is sent as it comes. */
    private ByteArrayOutputStream held;

    private RawClient(SocketChannel channel) {
        this.channel = channel;
    }

    /** Reads the greeting and answers it. */
    static RawClient greet(SocketChannel channel) throws IOException {
        RawClient client = new RawClient(channel);
        ByteBuffer greeting = client.receive(18);
        must(greeting.getLong() == 0x4e42444d41474943L, "greeting");
        must(greeting.getLong() == IHAVEOPT, "greeting");
        must((greeting.getShort() & 3) == 3, "fixed newstyle without zeroes");
        client.send(ByteBuffer.allocate(4).putInt(3).flip());
        return client;
    }

    private static void must(boolean right, String what) {
        if (!right) {
            throw new AssertionError("wrong: " + what);
        }
    }

    // ---- bytes ---------------------------------------------------------------------------------------------------

    /** From now on nothing is sent. */
    void hold() {
        held = new ByteArrayOutputStream();
    }

    /** What was held back; from now on everything is sent as it comes. */
    byte[] takeHeld() {
        byte[] bytes = held.toByteArray();
        held = null;
        return bytes;
    }

    /** Sends what was held back, all at once. */
    void sendHeld() throws IOException {
        send(takeHeld());
    }

    void send(ByteBuffer bytes) throws IOException {
        if (held != null) {
            held.write(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
            return;
        }
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    void send(byte[] bytes) throws IOException {
        send(ByteBuffer.wrap(bytes));
    }

    ByteBuffer receive(int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(length);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer) < 0) {
                throw new EOFException("the server closed the connection");
            }
        }
        return buffer.flip();
    }

    /** Whether the server has closed the connection, without another byte. Waits for it. */
    boolean atEnd() throws IOException {
        try {
            return channel.read(ByteBuffer.allocate(1)) < 0;
        } catch (IOException e) {
            return true; // reset, with bytes of ours unread
        }
    }

    // ---- handshake -----------------------------------------------------------------------------------------------

    static byte[] option(int option, byte[] data) {
        return bytes(out -> {
            out.writeLong(IHAVEOPT);
            out.writeInt(option);
            out.writeInt(data.length);
            out.write(data);
        });
    }

    interface Content {
        void write(DataOutputStream out) throws IOException;
    }

    static byte[] bytes(Content content) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            content.write(new DataOutputStream(bytes));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    /** The data of NBD_OPT_INFO and NBD_OPT_GO. */
    static byte[] named(String export, int... information) {
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        return bytes(out -> {
            out.writeInt(name.length);
            out.write(name);
            out.writeShort(information.length);
            for (int type : information) {
                out.writeShort(type);
            }
        });
    }

    /** The data of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
    static byte[] contexts(String export, String... queries) {
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        return bytes(out -> {
            out.writeInt(name.length);
            out.write(name);
            out.writeInt(queries.length);
            for (String query : queries) {
                out.writeInt(query.length());
                out.writeBytes(query);
            }
        });
    }

    /** Asks for an option and hears all replies to it; the last one ends it. */
    List<OptionReply> ask(int option, byte[] data) throws IOException {
        send(option(option, data));
        List<OptionReply> replies = new ArrayList<>();
        OptionReply reply;
        do {
            reply = optionReply();
            must(reply.option() == option, "a reply to option " + reply.option() + " instead of " + option);
            replies.add(reply);
        } while (!reply.isError() && reply.type() != Nbd.NBD_REP_ACK);
        return replies;
    }

    OptionReply optionReply() throws IOException {
        ByteBuffer header = receive(20);
        must(header.getLong() == OPTION_REPLY, "magic of an option reply");
        int option = header.getInt();
        int type = header.getInt();
        int length = header.getInt();
        must(length >= 0 && length <= 1 << 20, "length " + length + " of an option reply");
        return new OptionReply(option, type, receive(length).array());
    }

    /** Asks for an option; whether it was granted. */
    boolean granted(int option, byte[] data) throws IOException {
        return !ask(option, data).getLast().isError();
    }

    boolean negotiateStructured() throws IOException {
        structured = granted(Nbd.NBD_OPT_STRUCTURED_REPLY, new byte[0]);
        return structured;
    }

    boolean negotiateExtended() throws IOException {
        extended = granted(Nbd.NBD_OPT_EXTENDED_HEADERS, new byte[0]);
        return extended;
    }

    /** Opens an export. */
    RawClient go(String export) throws IOException {
        List<OptionReply> replies = ask(Nbd.NBD_OPT_GO, named(export));
        must(!replies.getLast().isError(), "refused: " + replies.getLast().text());
        for (OptionReply reply : replies) {
            ByteBuffer data = ByteBuffer.wrap(reply.data());
            if (reply.type() == Nbd.NBD_REP_INFO && data.getShort() == Nbd.NBD_INFO_EXPORT) {
                size = data.getLong();
                flags = Short.toUnsignedInt(data.getShort());
            }
        }
        return this;
    }

    long size() {
        return size;
    }

    /** NBD_FLAG_* of the export. */
    int flags() {
        return flags;
    }

    boolean structured() {
        return structured || extended;
    }

    boolean extended() {
        return extended;
    }

    // ---- transmission --------------------------------------------------------------------------------------------

    /** Asks for something; payload is sent as it is given. */
    void request(int type, int commandFlags, long cookie, long offset, long length, byte[] payload) throws IOException {
        asked.put(cookie, new Asked(type, offset, length));
        ByteBuffer header = ByteBuffer.allocate(32 + payload.length);
        header.putInt(extended ? 0x21e41c71 : 0x25609513)
                .putShort((short) commandFlags)
                .putShort((short) type)
                .putLong(cookie)
                .putLong(offset);
        if (extended) {
            header.putLong(length);
        } else {
            header.putInt((int) length);
        }
        send(header.put(payload).flip());
    }

    void request(int type, int commandFlags, long cookie, long offset, long length) throws IOException {
        request(type, commandFlags, cookie, offset, length, new byte[0]);
    }

    /** The next request that is answered completely. */
    Reply reply() throws IOException {
        while (true) {
            int magic = receive(4).getInt();
            Reply reply = switch (magic) {
                case Nbd.NBD_SIMPLE_REPLY_MAGIC -> simple();
                case Nbd.NBD_STRUCTURED_REPLY_MAGIC, Nbd.NBD_EXTENDED_REPLY_MAGIC -> chunk(magic);
                default -> throw new AssertionError("wrong: magic 0x" + Integer.toHexString(magic));
            };
            if (reply != null) {
                return reply;
            }
        }
    }

    private Reply simple() throws IOException {
        ByteBuffer header = receive(12);
        int error = header.getInt();
        long cookie = header.getLong();
        Asked request = asked.remove(cookie);
        must(request != null, "an answer to nothing, cookie " + cookie);
        must(!extended, "a simple reply with extended headers");
        must(!structured || request.type() != Nbd.NBD_CMD_READ, "a simple reply to a read of a structured client");
        List<Chunk> chunks = new ArrayList<>();
        if (request.type() == Nbd.NBD_CMD_READ && error == 0 && request.length() > 0) {
            byte[] data = receive((int) request.length()).array();
            chunks.add(new Chunk(Nbd.NBD_REPLY_TYPE_OFFSET_DATA, request.offset(), data));
        }
        return new Reply(cookie, error, chunks);
    }

    private Reply chunk(int magic) throws IOException {
        must((magic == Nbd.NBD_EXTENDED_REPLY_MAGIC) == extended, "the kind of reply that was negotiated");
        ByteBuffer header = receive(extended ? 28 : 16);
        int replyFlags = header.getShort();
        int type = Short.toUnsignedInt(header.getShort());
        long cookie = header.getLong();
        Asked request = asked.get(cookie);
        must(request != null, "a chunk for nothing, cookie " + cookie);
        if (extended) {
            must(header.getLong() == request.offset(), "the offset of the request in its reply");
        }
        long length = extended ? header.getLong() : Integer.toUnsignedLong(header.getInt());
        must(length <= 65 << 20, "a chunk of " + length + " bytes");
        ByteBuffer payload = receive((int) length);
        List<Chunk> chunks = unfinished.computeIfAbsent(cookie, c -> new ArrayList<>());
        if (type != Nbd.NBD_REPLY_TYPE_NONE) {
            chunks.add(chunk(request, type, payload));
        } else {
            must((replyFlags & Nbd.NBD_REPLY_FLAG_DONE) != 0 && length == 0, "NBD_REPLY_TYPE_NONE");
        }
        if ((replyFlags & Nbd.NBD_REPLY_FLAG_DONE) == 0) {
            return null;
        }
        asked.remove(cookie);
        unfinished.remove(cookie);
        return new Reply(cookie, errorOf(chunks), chunks);
    }

    private static Chunk chunk(Asked request, int type, ByteBuffer payload) {
        return switch (type) {
            case Nbd.NBD_REPLY_TYPE_OFFSET_DATA -> {
                must(payload.remaining() > 8, "an empty chunk of data");
                yield new Chunk(type, payload.getLong(), rest(payload));
            }
            case Nbd.NBD_REPLY_TYPE_OFFSET_HOLE -> {
                must(payload.remaining() == 12, "the size of a hole");
                long offset = payload.getLong();
                int hole = payload.getInt();
                must(hole > 0 && hole <= request.length(), "a hole of " + hole + " bytes");
                yield new Chunk(type, offset, new byte[hole]);
            }
            default -> new Chunk(type, request.offset(), rest(payload));
        };
    }

    private static byte[] rest(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    private static int errorOf(List<Chunk> chunks) {
        for (Chunk chunk : chunks) {
            if ((chunk.type() & 1 << 15) != 0) {
                ByteBuffer error = ByteBuffer.wrap(chunk.data());
                int value = error.getInt();
                int text = Short.toUnsignedInt(error.getShort());
                must(value != 0, "an error chunk without an error");
                must(text <= error.remaining(), "the text of an error");
                return value;
            }
        }
        return 0;
    }

    /** What a read gave, put together from its chunks, each byte exactly once. */
    static byte[] dataOf(Reply reply, long offset, int length) {
        byte[] data = new byte[length];
        java.util.BitSet seen = new java.util.BitSet();
        for (Chunk chunk : reply.chunks()) {
            int at = Math.toIntExact(chunk.offset() - offset);
            must(at >= 0 && at + chunk.data().length <= length, "a chunk outside of what was asked for");
            must(seen.nextSetBit(at) < 0 || seen.nextSetBit(at) >= at + chunk.data().length, "chunks overlap");
            seen.set(at, at + chunk.data().length);
            System.arraycopy(chunk.data(), 0, data, at, chunk.data().length);
        }
        must(seen.cardinality() == length, "only " + seen.cardinality() + " of " + length + " bytes");
        return data;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}

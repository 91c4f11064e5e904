package farsight.tools;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * NBD message by message, as proto.md writes it and without any rule that a client keeps: for what other clients cannot
 * send, or do not show. Its numbers are its own, so that a wrong one in the program is seen. One thread.
 */
public final class WireClient implements AutoCloseable {
    public static final int EXPORT_NAME = 1;
    public static final int ABORT = 2;
    public static final int LIST = 3;
    public static final int STARTTLS = 5;
    public static final int INFO = 6;
    public static final int GO = 7;
    public static final int STRUCTURED_REPLY = 8;
    public static final int LIST_META_CONTEXT = 9;
    public static final int SET_META_CONTEXT = 10;
    public static final int EXTENDED_HEADERS = 11;

    public static final int ACK = 1;
    public static final int UNSUP = 0x8000_0001;
    public static final int POLICY = 0x8000_0002;
    public static final int INVALID = 0x8000_0003;
    public static final int PLATFORM = 0x8000_0004;
    public static final int UNKNOWN = 0x8000_0006;
    public static final int BLOCK_SIZE_REQD = 0x8000_0008;
    public static final int TOO_BIG = 0x8000_0009;
    public static final int EXT_HEADER_REQD = 0x8000_000a;

    public static final int READ = 0;
    public static final int WRITE = 1;
    public static final int DISC = 2;
    public static final int FLUSH = 3;
    public static final int TRIM = 4;
    public static final int CACHE = 5;
    public static final int WRITE_ZEROES = 6;
    public static final int BLOCK_STATUS = 7;

    public static final int FUA = 1;
    public static final int NO_HOLE = 2;
    public static final int DF = 4;
    public static final int REQ_ONE = 8;
    public static final int FAST_ZERO = 16;
    public static final int PAYLOAD_LEN = 32;

    public static final int NONE = 0;
    public static final int OFFSET_DATA = 1;
    public static final int OFFSET_HOLE = 2;
    public static final int STATUS = 5;
    public static final int STATUS_EXT = 6;
    public static final int ERROR = 0x8001;
    public static final int ERROR_OFFSET = 0x8002;

    private final SocketChannel socket;
    private boolean extended;
    private long size;
    private int flags;

    /** A reply to an option. */
    public record OptionReply(int option, int type, byte[] data) {
        public String text() {
            return new String(data, StandardCharsets.UTF_8);
        }
    }

    /**
     * A chunk, or a simple reply (type {@link #NONE}, done, with its error).
     *
     * @param error of error chunks and simple replies, else 0
     * @param start what extended headers repeat of the request, else -1
     */
    public record Chunk(boolean simple, boolean done, int type, long cookie, long start, int error, byte[] payload) {
        public ByteBuffer buffer() {
            return ByteBuffer.wrap(payload);
        }

        /** The offset of content. */
        public long offset() {
            return buffer().getLong();
        }

        /** The bytes that a content chunk stands for. */
        public long length() {
            return type == OFFSET_HOLE ? Integer.toUnsignedLong(buffer().getInt(8)) : payload.length - 8;
        }

        /** The text of an error chunk. */
        public String text() {
            return new String(payload, 6, buffer().getShort(4), StandardCharsets.UTF_8);
        }

        /** Where an ERROR_OFFSET chunk says that it failed. */
        public long failedAt() {
            return buffer().getLong(6 + buffer().getShort(4));
        }

        public int context() {
            return buffer().getInt();
        }

        /** Lengths and states of a block status, in turn. */
        public List<Long> extents() {
            ByteBuffer all = buffer();
            List<Long> result = new ArrayList<>();
            all.getInt();
            int count = type == STATUS_EXT ? all.getInt() : -1;
            while (all.hasRemaining()) {
                result.add(type == STATUS_EXT ? all.getLong() : Integer.toUnsignedLong(all.getInt()));
            }
            if (count >= 0 && count * 2 != result.size()) {
                throw new AssertionError("a descriptor count of " + count + " with " + result.size() + " numbers");
            }
            return result;
        }
    }

    private WireClient(SocketChannel socket, int flags) throws IOException {
        this.socket = socket;
        ByteBuffer greeting = receive(18);
        if (greeting.getLong() != 0x4e42444d41474943L || greeting.getLong() != 0x49484156454f5054L) {
            throw new AssertionError("the server does not greet as NBD servers do");
        }
        send(ByteBuffer.allocate(4).putInt(flags).flip());
    }

    public static WireClient unix(Path path) throws IOException {
        SocketChannel socket = SocketChannel.open(StandardProtocolFamily.UNIX);
        socket.connect(UnixDomainSocketAddress.of(path));
        return new WireClient(socket, 3);
    }

    public static WireClient tcp(int port) throws IOException {
        return tcp(port, 3);
    }

    /** @param flags those of the client: 1 for the fixed newstyle, 2 for no zeroes */
    public static WireClient tcp(int port, int flags) throws IOException {
        return new WireClient(SocketChannel.open(new InetSocketAddress("127.0.0.1", port)), flags);
    }

    // ---- options -------------------------------------------------------------------------------------------------

    /** Sends an option and takes all replies to it. */
    public List<OptionReply> option(int option, byte... data) throws IOException {
        sendOption(option, data.length, data);
        return optionReplies();
    }

    /** Sends an option whose length may be a lie. */
    public void sendOption(int option, int length, byte... data) throws IOException {
        send(ByteBuffer.allocate(16 + data.length)
                .putLong(0x49484156454f5054L)
                .putInt(option)
                .putInt(length)
                .put(data)
                .flip());
    }

    public List<OptionReply> optionReplies() throws IOException {
        List<OptionReply> all = new ArrayList<>();
        OptionReply reply;
        do {
            ByteBuffer header = receive(20);
            if (header.getLong() != 0x3e889045565a9L) {
                throw new AssertionError("wrong magic of an option reply");
            }
            int option = header.getInt();
            int type = header.getInt();
            reply = new OptionReply(option, type, receive(header.getInt()).array());
            all.add(reply);
            if (option == GO && type == 3 && ByteBuffer.wrap(reply.data).getShort() == 0) {
                size = ByteBuffer.wrap(reply.data).getLong(2);
                flags = Short.toUnsignedInt(ByteBuffer.wrap(reply.data).getShort(10));
            }
            if (option == EXTENDED_HEADERS && type == ACK) {
                extended = true;
            }
        } while (reply.type >= 0 && reply.type != ACK);
        return all;
    }

    /** The type of the last reply to an option. */
    public int answer(int option, byte... data) throws IOException {
        return option(option, data).getLast().type;
    }

    /** The data of INFO and GO. */
    public static byte[] export(String name, int... information) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        return bytes(out -> {
            out.writeInt(text.length);
            out.write(text);
            out.writeShort(information.length);
            for (int type : information) {
                out.writeShort(type);
            }
        });
    }

    /** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
    public static byte[] queries(String export, String... queries) {
        return bytes(out -> {
            byte[] name = export.getBytes(StandardCharsets.UTF_8);
            out.writeInt(name.length);
            out.write(name);
            out.writeInt(queries.length);
            for (String query : queries) {
                byte[] text = query.getBytes(StandardCharsets.UTF_8);
                out.writeInt(text.length);
                out.write(text);
            }
        });
    }

    /** Something to write in network byte order. */
    public interface Writing {
        void to(DataOutputStream out) throws IOException;
    }

    public static byte[] bytes(Writing writing) {
        try {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            writing.to(new DataOutputStream(bytes));
            return bytes.toByteArray();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Enters transmission. */
    public WireClient go(String export) throws IOException {
        OptionReply last = option(GO, export(export, 3)).getLast();
        if (last.type != ACK) {
            throw new AssertionError("refused: " + last.text());
        }
        return this;
    }

    /** With extended headers from here on. */
    public WireClient extended() throws IOException {
        if (answer(EXTENDED_HEADERS) != ACK) {
            throw new AssertionError("no extended headers");
        }
        return this;
    }

    /** With structured replies from here on. */
    public WireClient structured() throws IOException {
        if (answer(STRUCTURED_REPLY) != ACK) {
            throw new AssertionError("no structured replies");
        }
        return this;
    }

    /** Selects metadata contexts. */
    public WireClient contexts(String export, String... names) throws IOException {
        List<OptionReply> replies = option(SET_META_CONTEXT, queries(export, names));
        if (replies.size() != names.length + 1 || replies.getLast().type != ACK) {
            throw new AssertionError("contexts are refused: " + replies);
        }
        return this;
    }

    /** Of the export that was entered. */
    public long size() {
        return size;
    }

    /** Transmission flags of the export that was entered. */
    public int flags() {
        return flags;
    }

    // ---- transmission --------------------------------------------------------------------------------------------

    /** Sends a request, compact or extended as was settled. */
    public void send(int flags, int type, long cookie, long offset, long length, byte... payload) throws IOException {
        ByteBuffer message = ByteBuffer.allocate(32 + payload.length);
        message.putInt(extended ? 0x21e41c71 : 0x25609513);
        message.putShort((short) flags).putShort((short) type).putLong(cookie).putLong(offset);
        if (extended) {
            message.putLong(length);
        } else {
            message.putInt((int) length);
        }
        send(message.put(payload).flip());
    }

    /** Sends a request and takes the chunks of its reply; nothing else may be under way. */
    public List<Chunk> request(int flags, int type, long offset, long length, byte... payload) throws IOException {
        long cookie = offset ^ 0x5555_0000_1111_2222L;
        send(flags, type, cookie, offset, length, payload);
        List<Chunk> chunks = new ArrayList<>();
        do {
            chunks.add(chunk());
            if (chunks.getLast().cookie != cookie) {
                throw new AssertionError("a reply to something else");
            }
            if (extended && chunks.getLast().start != offset) {
                throw new AssertionError("an extended reply with another offset than the request's");
            }
        } while (!chunks.getLast().done);
        return chunks;
    }

    /** The error of a request: 0 for success. */
    public int errorOf(int flags, int type, long offset, long length, byte... payload) throws IOException {
        return request(flags, type, offset, length, payload).stream()
                .mapToInt(Chunk::error)
                .filter(error -> error != 0)
                .findFirst()
                .orElse(0);
    }

    /** The next chunk, or simple reply without data. */
    public Chunk chunk() throws IOException {
        int magic = receive(4).getInt();
        if (magic == 0x67446698) {
            ByteBuffer rest = receive(12);
            int error = rest.getInt();
            return new Chunk(true, true, NONE, rest.getLong(), -1, error, new byte[0]);
        }
        if (magic != (extended ? 0x6e8a278c : 0x668e33ef)) {
            throw new AssertionError("a reply with the magic 0x" + Integer.toHexString(magic));
        }
        ByteBuffer header = receive(extended ? 28 : 16);
        int replyFlags = header.getShort();
        int type = Short.toUnsignedInt(header.getShort());
        long cookie = header.getLong();
        long start = extended ? header.getLong() : -1;
        long length = extended ? header.getLong() : header.getInt();
        byte[] payload = receive(Math.toIntExact(length)).array();
        int error = type >= ERROR ? ByteBuffer.wrap(payload).getInt() : 0;
        return new Chunk(false, replyFlags == 1, type, cookie, start, error, payload);
    }

    // ---- bytes ---------------------------------------------------------------------------------------------------

    public void send(ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            socket.write(bytes);
        }
    }

    public ByteBuffer receive(int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(length);
        while (buffer.hasRemaining()) {
            if (socket.read(buffer) < 0) {
                throw new EOFException("the server has closed after " + buffer.position() + " of " + length + " bytes");
            }
        }
        return buffer.flip();
    }

    /** Whether the server has nothing more to say and says so. */
    public boolean atEnd() throws IOException {
        return socket.read(ByteBuffer.allocate(1)) < 0;
    }

    /** The socket, for what is not an NBD message. */
    public SocketChannel socket() {
        return socket;
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}

package farsight.client;

import farsight.protocol.Nbd;
import farsight.protocol.OptionHeader;
import farsight.protocol.ProtocolException;
import farsight.protocol.Text;
import farsight.protocol.Wire;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The client's side of the handshake (proto.md, "Handshake"). What the server sends is bounded in size, number and time;
 * whatever breaks the rules ends it with one clear line. One thread.
 */
public final class ClientHandshake {
    /** How long the whole of it may take. */
    public static final Duration LIMIT = Duration.ofSeconds(30);

    private static final int MOST_REPLIES = 10_000;
    private static final int LONGEST_REPLY = 64 << 10;
    private static final int REPLY_HEADER = 20;

    private final ClientSocket socket;

    /** An answer to an option. */
    private record Reply(int type, MemorySegment data) {
        boolean isError() {
            return type < 0;
        }
    }

    private ClientHandshake(ClientSocket socket) {
        this.socket = socket;
    }

    /** Opens an export: afterwards the socket is in the transmission phase, with simple replies. */
    public static Negotiated open(ClientSocket socket, String export) throws NbdException {
        try (Arena arena = Arena.ofConfined()) {
            socket.limit(LIMIT);
            ClientHandshake handshake = new ClientHandshake(socket);
            handshake.greet(arena);
            Negotiated negotiated = handshake.choose(arena, Nbd.NBD_OPT_GO, export);
            socket.limit(Duration.ZERO);
            return negotiated;
        }
    }

    /** Asks what an export is without opening it, and ends the session. */
    public static Negotiated inform(ClientSocket socket, String export) throws NbdException {
        try (Arena arena = Arena.ofConfined()) {
            socket.limit(LIMIT);
            ClientHandshake handshake = new ClientHandshake(socket);
            handshake.greet(arena);
            Negotiated negotiated = handshake.choose(arena, Nbd.NBD_OPT_INFO, export);
            handshake.option(arena, Nbd.NBD_OPT_ABORT, MemorySegment.NULL);
            return negotiated;
        }
    }

    /** The names of the exports that the server lists, and ends the session. */
    public static List<String> list(ClientSocket socket) throws NbdException {
        try (Arena arena = Arena.ofConfined()) {
            socket.limit(LIMIT);
            ClientHandshake handshake = new ClientHandshake(socket);
            handshake.greet(arena);
            List<String> names = handshake.list(arena);
            handshake.option(arena, Nbd.NBD_OPT_ABORT, MemorySegment.NULL);
            return names;
        }
    }

    private NbdException wrong(String what) {
        return new NbdException(socket.peer() + ": " + what);
    }

    // ---- greeting ------------------------------------------------------------------------------------------------

    private void greet(Arena arena) throws NbdException {
        MemorySegment greeting = arena.allocate(18);
        socket.receive(greeting);
        if (greeting.get(Wire.LONG, 0) != Nbd.NBD_MAGIC) {
            throw wrong("what answers there does not speak NBD");
        }
        long second = greeting.get(Wire.LONG, 8);
        if (second == Nbd.NBD_OLD_MAGIC) {
            throw wrong("the server speaks the oldstyle handshake, which is not supported; use a newer server");
        }
        if (second != Nbd.IHAVEOPT) {
            throw wrong("what answers there does not speak NBD (wrong second magic)");
        }
        int flags = Short.toUnsignedInt(greeting.get(Wire.SHORT, 16));
        if ((flags & Nbd.NBD_FLAG_FIXED_NEWSTYLE) == 0) {
            throw wrong("the server does not speak the fixed newstyle handshake; use a newer server");
        }
        int answer = flags & (Nbd.NBD_FLAG_FIXED_NEWSTYLE | Nbd.NBD_FLAG_NO_ZEROES);
        noZeroes = (answer & Nbd.NBD_FLAG_NO_ZEROES) != 0;
        MemorySegment reply = arena.allocate(4);
        reply.set(Wire.INT, 0, answer);
        socket.send(reply);
    }

    private boolean noZeroes;

    // ---- options -------------------------------------------------------------------------------------------------

    private void option(Arena arena, int option, MemorySegment data) throws NbdException {
        MemorySegment message = arena.allocate(OptionHeader.SIZE + data.byteSize());
        OptionHeader.write(message, 0, option, (int) data.byteSize());
        MemorySegment.copy(data, 0, message, OptionHeader.SIZE, data.byteSize());
        socket.send(message);
    }

    private Reply reply(Arena arena, int option) throws NbdException {
        MemorySegment header = arena.allocate(REPLY_HEADER);
        socket.receive(header);
        if (header.get(Wire.LONG, 0) != Nbd.NBD_REP_MAGIC) {
            throw wrong("the server's answer to " + Nbd.optionName(option) + " is no answer (wrong magic)");
        }
        if (header.get(Wire.INT, 8) != option) {
            throw wrong("the server answered " + Nbd.optionName(header.get(Wire.INT, 8)) + " when asked "
                    + Nbd.optionName(option));
        }
        long length = Integer.toUnsignedLong(header.get(Wire.INT, 16));
        if (length > LONGEST_REPLY) {
            throw wrong("the server's answer to " + Nbd.optionName(option) + " is said to have " + length
                    + " bytes; at most " + LONGEST_REPLY + " are taken");
        }
        MemorySegment data = arena.allocate(length);
        socket.receive(data);
        return new Reply(header.get(Wire.INT, 12), data);
    }

    private List<String> list(Arena arena) throws NbdException {
        option(arena, Nbd.NBD_OPT_LIST, MemorySegment.NULL);
        List<String> names = new ArrayList<>();
        for (int i = 0; i < MOST_REPLIES; i++) {
            Reply reply = reply(arena, Nbd.NBD_OPT_LIST);
            if (reply.isError()) {
                throw wrong("the server does not list its exports: " + reason(reply));
            }
            if (reply.type() == Nbd.NBD_REP_ACK) {
                return names;
            }
            MemorySegment data = reply.data();
            long length = data.byteSize() < 4 ? -1 : Integer.toUnsignedLong(data.get(Wire.INT, 0));
            if (reply.type() != Nbd.NBD_REP_SERVER || length < 0 || length > data.byteSize() - 4) {
                throw wrong("the server's list of exports is not well formed");
            }
            names.add(text(data.asSlice(4, length), "export name"));
        }
        throw wrong("the server's list of exports does not end");
    }

    private String text(MemorySegment data, String what) throws NbdException {
        try {
            return Text.read(data, what);
        } catch (ProtocolException e) {
            throw wrong(e.getMessage());
        }
    }

    private String reason(Reply reply) throws NbdException {
        String said = reply.data().byteSize() == 0
                ? ""
                : text(reply.data().asSlice(0, Math.min(reply.data().byteSize(), Nbd.MAX_STRING)), "error message");
        return (said.isEmpty() ? "no reason given" : Text.quote(said)) + " (" + Nbd.replyName(reply.type()) + ")";
    }

    private Negotiated choose(Arena arena, int option, String export) throws NbdException {
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        if (name.length > Nbd.MAX_STRING) {
            throw new NbdException("the export name has " + name.length + " bytes; at most 4096 are allowed");
        }
        int[] wanted = {Nbd.NBD_INFO_NAME, Nbd.NBD_INFO_DESCRIPTION, Nbd.NBD_INFO_BLOCK_SIZE};
        MemorySegment data = arena.allocate(4 + name.length + 2 + 2L * wanted.length);
        data.set(Wire.INT, 0, name.length);
        MemorySegment.copy(name, 0, data, ValueLayout.JAVA_BYTE, 4, name.length);
        data.set(Wire.SHORT, 4 + name.length, (short) wanted.length);
        for (int i = 0; i < wanted.length; i++) {
            data.set(Wire.SHORT, 4 + name.length + 2 + 2L * i, (short) wanted[i]);
        }
        option(arena, option, data);
        Answer answer = new Answer(export);
        for (int i = 0; i < MOST_REPLIES; i++) {
            Reply reply = reply(arena, option);
            if (reply.type() == Nbd.NBD_REP_INFO) {
                answer.info(reply.data());
            } else if (reply.type() == Nbd.NBD_REP_ACK) {
                return answer.finish();
            } else if (reply.type() == Nbd.NBD_REP_ERR_UNSUP && option == Nbd.NBD_OPT_GO) {
                return exportName(arena, export, name);
            } else if (reply.isError()) {
                throw wrong("the server refused export " + Text.quote(export) + ": " + reason(reply));
            } else {
                throw wrong("the server answered " + Nbd.optionName(option) + " with " + Nbd.replyName(reply.type()));
            }
        }
        throw wrong("the server's answer to " + Nbd.optionName(option) + " does not end");
    }

    /** For servers before NBD_OPT_GO; they answer a name that they do not know by closing the connection. */
    private Negotiated exportName(Arena arena, String export, byte[] name) throws NbdException {
        option(arena, Nbd.NBD_OPT_EXPORT_NAME, arena.allocateFrom(ValueLayout.JAVA_BYTE, name));
        MemorySegment reply = arena.allocate(10 + (noZeroes ? 0 : 124));
        try {
            socket.receive(reply);
        } catch (NbdException e) {
            throw wrong("the server closed the connection when asked for export " + Text.quote(export));
        }
        Answer answer = new Answer(export);
        answer.sizeAndFlags(reply, 0);
        return answer.finish();
    }

    /** What the server said of the export so far. */
    private final class Answer {
        private final String asked;
        private String name;
        private String description = "";
        private long size = -1;
        private int flags;
        private int minimum = 1;
        private int preferred = 4096;
        private int maximum = Negotiated.DEFAULT_MAXIMUM;

        Answer(String asked) {
            this.asked = asked;
            this.name = asked;
        }

        void info(MemorySegment data) throws NbdException {
            if (data.byteSize() < 2) {
                throw wrong("the server sent an NBD_REP_INFO of " + data.byteSize() + " bytes");
            }
            switch (Short.toUnsignedInt(data.get(Wire.SHORT, 0))) {
                case Nbd.NBD_INFO_EXPORT -> {
                    exactly(data, 12, "NBD_INFO_EXPORT");
                    sizeAndFlags(data, 2);
                }
                case Nbd.NBD_INFO_NAME -> name = text(data.asSlice(2), "export name");
                case Nbd.NBD_INFO_DESCRIPTION -> description = text(data.asSlice(2), "export description");
                case Nbd.NBD_INFO_BLOCK_SIZE -> blockSizes(data);
                default -> {} // "the client MUST ignore" what it does not know
            }
        }

        private void exactly(MemorySegment data, long bytes, String what) throws NbdException {
            if (data.byteSize() != bytes) {
                throw wrong("the server sent an " + what + " of " + data.byteSize() + " bytes, not " + bytes);
            }
        }

        void sizeAndFlags(MemorySegment data, long at) throws NbdException {
            size = data.get(Wire.LONG, at);
            flags = Short.toUnsignedInt(data.get(Wire.SHORT, at + 8));
            if (size < 0) {
                throw wrong("the server says that the export has " + Long.toUnsignedString(size)
                        + " bytes, which is more than 2^63-1");
            }
            if ((flags & Nbd.NBD_FLAG_HAS_FLAGS) == 0) {
                throw wrong("the server sent transmission flags without NBD_FLAG_HAS_FLAGS");
            }
        }

        private void blockSizes(MemorySegment data) throws NbdException {
            exactly(data, 14, "NBD_INFO_BLOCK_SIZE");
            minimum = data.get(Wire.INT, 2);
            preferred = data.get(Wire.INT, 6);
            long most = Integer.toUnsignedLong(data.get(Wire.INT, 10));
            if (minimum < 1 || minimum > 65536 || Integer.bitCount(minimum) != 1) {
                throw wrong("the server asks for a minimum block size of " + Integer.toUnsignedString(minimum));
            }
            if (preferred < minimum || Integer.bitCount(preferred) != 1 || most < minimum) {
                throw wrong("the server asks for block sizes that contradict each other");
            }
            maximum = (int) Math.min(most, Nbd.MAX_PAYLOAD) / minimum * minimum;
        }

        Negotiated finish() throws NbdException {
            if (size < 0) {
                throw wrong("the server did not say how large export " + Text.quote(asked) + " is");
            }
            return new Negotiated(name, size, flags, description, minimum, preferred, maximum);
        }
    }
}

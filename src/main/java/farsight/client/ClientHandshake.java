package farsight.client;

import farsight.protocol.Nbd;
import farsight.protocol.OptionHeader;
import farsight.protocol.ProtocolException;
import farsight.protocol.Text;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
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

    /** How many contexts may be asked for, and are taken in an answer to that. */
    static final int MOST_CONTEXTS = 64;

    private static final int MOST_REPLIES = 10_000;
    private static final int MOST_LISTED_BYTES = 16 << 20;
    private static final int LONGEST_REPLY = 64 << 10;
    private static final int REPLY_HEADER = 20;

    private final ClientSocket socket;
    private final Arena arena;
    private final Memory header;
    private final Memory room;
    private final Memory request;
    private boolean fixed;
    private boolean noZeroes;
    private boolean structured;
    private boolean extended;
    private List<MetaContext> contexts = List.of();

    /** An answer to an option; its data is good until the next one comes. */
    private record Reply(int type, ByteBuffer data) {
        boolean isError() {
            return type < 0;
        }

        int length() {
            return data.capacity();
        }
    }

    private ClientHandshake(ClientSocket socket, Arena arena) {
        this.socket = socket;
        this.arena = arena;
        header = socket.allocate(arena, REPLY_HEADER);
        room = socket.allocate(arena, LONGEST_REPLY);
        request = socket.allocate(arena, LONGEST_REPLY);
    }

    /** Opens an export: afterwards the socket is in the transmission phase, with simple replies. */
    public static Negotiated open(ClientSocket socket, String export) throws NbdException {
        return open(socket, export, ClientOptions.DEFAULT.withStructured(false).withExtended(false));
    }

    /** Opens an export with what the options ask for and the server has. */
    public static Negotiated open(ClientSocket socket, String export, ClientOptions options) throws NbdException {
        try (Arena arena = Arena.ofConfined()) {
            socket.limit(limit(options));
            ClientHandshake handshake = new ClientHandshake(socket, arena);
            handshake.greet();
            handshake.agree(options);
            handshake.contexts = handshake.contexts(Nbd.NBD_OPT_SET_META_CONTEXT, export, options.contexts());
            Negotiated negotiated = handshake.choose(Nbd.NBD_OPT_GO, export);
            socket.limit(Duration.ZERO);
            return negotiated;
        }
    }

    private static Duration limit(ClientOptions options) {
        return options.timeout().isZero() || options.timeout().compareTo(LIMIT) > 0 ? LIMIT : options.timeout();
    }

    /** Asks what an export is without opening it (NBD_OPT_INFO), and ends the session. */
    public static Negotiated inform(ClientSocket socket, String export) throws NbdException {
        try (Arena arena = Arena.ofConfined()) {
            socket.limit(LIMIT);
            ClientHandshake handshake = new ClientHandshake(socket, arena);
            handshake.greet();
            handshake.agree(ClientOptions.DEFAULT);
            handshake.contexts = handshake.contexts(Nbd.NBD_OPT_LIST_META_CONTEXT, export, List.of());
            Negotiated negotiated = handshake.choose(Nbd.NBD_OPT_INFO, export);
            handshake.abort();
            return negotiated;
        }
    }

    /**
     * Opens an export, which every server understands, and ends the session at once. The contexts are all that the server
     * offers.
     */
    public static Negotiated describe(ClientSocket socket, String export) throws NbdException {
        try (Arena arena = Arena.ofConfined()) {
            socket.limit(LIMIT);
            ClientHandshake handshake = new ClientHandshake(socket, arena);
            handshake.greet();
            handshake.agree(ClientOptions.DEFAULT);
            handshake.contexts = handshake.contexts(Nbd.NBD_OPT_LIST_META_CONTEXT, export, List.of());
            Negotiated negotiated = handshake.choose(Nbd.NBD_OPT_GO, export);
            Memory goodbye = handshake.request;
            int bytes = Requests.write(goodbye.bytes().clear(), negotiated.extended(), 0, Nbd.NBD_CMD_DISC, 0, 0, 0);
            socket.send(goodbye, 0, bytes);
            return negotiated;
        }
    }

    /** The exports that the server lists, and ends the session. */
    public static List<ListedExport> list(ClientSocket socket) throws NbdException {
        try (Arena arena = Arena.ofConfined()) {
            socket.limit(LIMIT);
            ClientHandshake handshake = new ClientHandshake(socket, arena);
            handshake.greet();
            List<ListedExport> exports = handshake.list();
            handshake.abort();
            return exports;
        }
    }

    /** "The client MAY close without waiting for the answer" (proto.md, NBD_OPT_ABORT). */
    private void abort() throws NbdException {
        if (fixed) {
            option(Nbd.NBD_OPT_ABORT, 0);
        }
    }

    /** The server said no, or what is wanted cannot be: a client that goes says so ("Termination of the session"). */
    private NbdException refused(String what) {
        try {
            abort();
        } catch (NbdException e) {
            // It is gone already.
        }
        return wrong(what);
    }

    private NbdException wrong(String what) {
        return new NbdException(socket.peer() + ": " + what);
    }

    /** Good until the next one. */
    private ByteBuffer receive(int bytes) throws NbdException {
        socket.receive(room, 0, bytes);
        return room.bytes().clear().slice(0, bytes);
    }

    /** All from there on. */
    private static ByteBuffer from(ByteBuffer data, int at) {
        return data.slice(at, data.capacity() - at);
    }

    // ---- greeting ------------------------------------------------------------------------------------------------

    private void greet() throws NbdException {
        ByteBuffer greeting = receive(18);
        if (greeting.getLong(0) != Nbd.NBD_MAGIC) {
            throw wrong("what answers there does not speak NBD");
        }
        long second = greeting.getLong(8);
        if (second == Nbd.NBD_OLD_MAGIC) {
            throw wrong("the server speaks the oldstyle handshake, which is not supported; use a newer server");
        }
        if (second != Nbd.IHAVEOPT) {
            throw wrong("what answers there does not speak NBD (wrong second magic)");
        }
        int flags = Short.toUnsignedInt(greeting.getShort(16));
        int answer = flags & (Nbd.NBD_FLAG_FIXED_NEWSTYLE | Nbd.NBD_FLAG_NO_ZEROES);
        fixed = (answer & Nbd.NBD_FLAG_FIXED_NEWSTYLE) != 0;
        noZeroes = (answer & Nbd.NBD_FLAG_NO_ZEROES) != 0;
        request.bytes().clear().putInt(0, answer);
        socket.send(request, 0, Integer.BYTES);
        if (socket.wantsTls()) {
            startTls();
        }
    }

    /** Nothing goes on in the clear when TLS is wanted, whatever the server, or somebody in between, answers. */
    private void startTls() throws NbdException {
        if (!fixed) {
            throw wrong("the server does not offer TLS: it does not speak the fixed newstyle handshake");
        }
        option(Nbd.NBD_OPT_STARTTLS, 0);
        Reply reply = reply(Nbd.NBD_OPT_STARTTLS);
        if (reply.isError()) {
            throw refused("the server does not offer TLS: " + reason(reply));
        }
        if (reply.type() != Nbd.NBD_REP_ACK || reply.length() != 0) {
            throw unexpected(Nbd.NBD_OPT_STARTTLS, reply);
        }
        socket.startTls();
    }

    // ---- options -------------------------------------------------------------------------------------------------

    /** Where the data of the next option is written. */
    private ByteBuffer data() {
        return from(request.bytes().clear(), OptionHeader.SIZE);
    }

    private void option(int option, int length) throws NbdException {
        OptionHeader.write(request.bytes().clear(), option, length);
        socket.send(request, 0, OptionHeader.SIZE + length);
    }

    private Reply reply(int option) throws NbdException {
        socket.receive(header, 0, REPLY_HEADER);
        ByteBuffer numbers = header.bytes().clear();
        if (numbers.getLong(0) != Nbd.NBD_REP_MAGIC) {
            throw wrong("the server's answer to " + Nbd.optionName(option) + " is no answer (wrong magic)");
        }
        if (numbers.getInt(8) != option) {
            throw wrong("the server answered " + Nbd.optionName(numbers.getInt(8)) + " when asked "
                    + Nbd.optionName(option));
        }
        long length = Integer.toUnsignedLong(numbers.getInt(16));
        if (length > LONGEST_REPLY) {
            throw wrong("the server's answer to " + Nbd.optionName(option) + " is said to have " + length
                    + " bytes; at most " + LONGEST_REPLY + " are taken");
        }
        return new Reply(numbers.getInt(12), receive((int) length));
    }

    /** Extended headers imply structured replies (proto.md, NBD_OPT_EXTENDED_HEADERS). */
    private void agree(ClientOptions options) throws NbdException {
        if (!fixed) {
            return;
        }
        extended = options.extended() && agrees(Nbd.NBD_OPT_EXTENDED_HEADERS);
        structured = extended || options.structured() && agrees(Nbd.NBD_OPT_STRUCTURED_REPLY);
    }

    private boolean agrees(int option) throws NbdException {
        option(option, 0);
        Reply reply = reply(option);
        if (reply.isError()) {
            refuseTls(reply);
            return false;
        }
        if (reply.type() != Nbd.NBD_REP_ACK || reply.length() != 0) {
            throw unexpected(option, reply);
        }
        return true;
    }

    private void refuseTls(Reply reply) throws NbdException {
        if (reply.type() == Nbd.NBD_REP_ERR_TLS_REQD) {
            throw refused("the server demands TLS: " + reason(reply));
        }
    }

    private NbdException unexpected(int option, Reply reply) {
        return wrong("the server answered " + Nbd.optionName(option) + " with " + Nbd.replyName(reply.type()) + " of "
                + reply.length() + " bytes");
    }

    /** What the server has of the contexts asked for; a list without queries is everything. */
    private List<MetaContext> contexts(int option, String export, List<String> queries) throws NbdException {
        boolean listing = option == Nbd.NBD_OPT_LIST_META_CONTEXT;
        if (!structured || !listing && queries.isEmpty()) {
            return List.of();
        }
        ByteBuffer data = data();
        int at = string(data, 0, "export name", export);
        data.putInt(at, queries.size());
        at += 4;
        for (String query : queries) {
            if (at + 4 + 3L * query.length() > data.capacity()) {
                throw refused("the contexts asked for are too long");
            }
            at = string(data, at, "context", query);
        }
        option(option, at);
        List<MetaContext> found = new ArrayList<>();
        for (int i = 0; i <= MOST_CONTEXTS; i++) {
            Reply reply = reply(option);
            if (reply.isError()) {
                refuseTls(reply);
                return List.of();
            }
            if (reply.type() == Nbd.NBD_REP_ACK) {
                return List.copyOf(found);
            }
            if (reply.type() != Nbd.NBD_REP_META_CONTEXT || reply.length() < 5) {
                throw unexpected(option, reply);
            }
            MetaContext context =
                    new MetaContext(reply.data().getInt(0), text(from(reply.data(), 4), "metadata context"));
            if (!listing) {
                checkNew(context, found);
            }
            found.add(context);
        }
        throw wrong("the server's answer to " + Nbd.optionName(option) + " does not end");
    }

    private void checkNew(MetaContext context, List<MetaContext> known) throws NbdException {
        for (MetaContext other : known) {
            if (other.id() == context.id() || other.name().equals(context.name())) {
                throw wrong("the server gave the metadata context " + Text.quote(context.name()) + " twice");
            }
        }
    }

    private int string(ByteBuffer data, int at, String what, String text) throws NbdException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length > Nbd.MAX_STRING) {
            throw refused("the " + what + " has " + bytes.length + " bytes; at most 4096 are allowed");
        }
        data.putInt(at, bytes.length);
        data.put(at + 4, bytes);
        return at + 4 + bytes.length;
    }

    private List<ListedExport> list() throws NbdException {
        if (!fixed) {
            throw wrong("the server does not list its exports: it does not speak the fixed newstyle handshake");
        }
        option(Nbd.NBD_OPT_LIST, 0);
        List<ListedExport> exports = new ArrayList<>();
        long bytes = 0;
        for (int i = 0; i < MOST_REPLIES && bytes <= MOST_LISTED_BYTES; i++) {
            Reply reply = reply(Nbd.NBD_OPT_LIST);
            if (reply.isError()) {
                throw refused("the server does not list its exports: " + reason(reply));
            }
            if (reply.type() == Nbd.NBD_REP_ACK) {
                return exports;
            }
            ByteBuffer data = reply.data();
            bytes += reply.length();
            long length = reply.length() < 4 ? -1 : Integer.toUnsignedLong(data.getInt(0));
            if (reply.type() != Nbd.NBD_REP_SERVER || length < 0 || length > reply.length() - 4) {
                throw wrong("the server's list of exports is not well formed");
            }
            // What follows the name is for people; some servers end it with a NUL.
            exports.add(new ListedExport(
                    text(data.slice(4, (int) length), "export name"),
                    loose(from(data, 4 + (int) length), "export description")));
        }
        throw wrong("the server's list of exports does not end");
    }

    private String loose(ByteBuffer data, String what) throws NbdException {
        int length = data.capacity();
        while (length > 0 && data.get(length - 1) == 0) {
            length--;
        }
        return text(data.slice(0, length), what);
    }

    private String text(ByteBuffer data, String what) throws NbdException {
        try {
            return Text.read(data, what);
        } catch (ProtocolException e) {
            throw wrong(e.getMessage());
        }
    }

    private String reason(Reply reply) throws NbdException {
        String said = reply.length() == 0
                ? ""
                : text(reply.data().slice(0, Math.min(reply.length(), Nbd.MAX_STRING)), "error message");
        return (said.isEmpty() ? "no reason given" : Text.quote(said)) + " (" + Nbd.replyName(reply.type()) + ")";
    }

    private Negotiated choose(int option, String export) throws NbdException {
        if (!fixed) {
            return exportName(export);
        }
        int[] wanted = {Nbd.NBD_INFO_NAME, Nbd.NBD_INFO_DESCRIPTION, Nbd.NBD_INFO_BLOCK_SIZE};
        ByteBuffer data = data();
        int at = string(data, 0, "export name", export);
        data.putShort(at, (short) wanted.length);
        at += 2;
        for (int i = 0; i < wanted.length; i++) {
            data.putShort(at, (short) wanted[i]);
            at += 2;
        }
        option(option, at);
        Answer answer = new Answer(export);
        for (int i = 0; i < MOST_REPLIES; i++) {
            Reply reply = reply(option);
            if (reply.type() == Nbd.NBD_REP_INFO) {
                answer.info(reply.data());
            } else if (reply.type() == Nbd.NBD_REP_ACK) {
                return answer.finish();
            } else if (reply.type() == Nbd.NBD_REP_ERR_UNSUP && !extended) {
                return exportName(export);
            } else if (reply.isError()) {
                throw refused("the server refused export " + Text.quote(export) + ": " + reason(reply));
            } else {
                throw unexpected(option, reply);
            }
        }
        throw wrong("the server's answer to " + Nbd.optionName(option) + " does not end");
    }

    /** For servers before NBD_OPT_GO; they answer a name that they do not know by closing the connection. */
    private Negotiated exportName(String export) throws NbdException {
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        if (name.length > Nbd.MAX_STRING) {
            throw refused("the export name has " + name.length + " bytes; at most 4096 are allowed");
        }
        data().put(0, name);
        option(Nbd.NBD_OPT_EXPORT_NAME, name.length);
        ByteBuffer reply;
        try {
            reply = receive(10 + (noZeroes ? 0 : 124));
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

        void info(ByteBuffer data) throws NbdException {
            if (data.capacity() < 2) {
                throw wrong("the server sent an NBD_REP_INFO of " + data.capacity() + " bytes");
            }
            switch (Short.toUnsignedInt(data.getShort(0))) {
                case Nbd.NBD_INFO_EXPORT -> {
                    exactly(data, 12, "NBD_INFO_EXPORT");
                    sizeAndFlags(data, 2);
                }
                case Nbd.NBD_INFO_NAME -> name = text(from(data, 2), "export name");
                case Nbd.NBD_INFO_DESCRIPTION -> description = text(from(data, 2), "export description");
                case Nbd.NBD_INFO_BLOCK_SIZE -> blockSizes(data);
                default -> {} // "the client MUST ignore" what it does not know
            }
        }

        private void exactly(ByteBuffer data, int bytes, String what) throws NbdException {
            if (data.capacity() != bytes) {
                throw wrong("the server sent an " + what + " of " + data.capacity() + " bytes, not " + bytes);
            }
        }

        void sizeAndFlags(ByteBuffer data, int at) throws NbdException {
            size = data.getLong(at);
            flags = Short.toUnsignedInt(data.getShort(at + 8));
            if (size < 0) {
                throw wrong("the server says that the export has " + Long.toUnsignedString(size)
                        + " bytes, which is more than 2^63-1");
            }
            if ((flags & Nbd.NBD_FLAG_HAS_FLAGS) == 0) {
                throw wrong("the server sent transmission flags without NBD_FLAG_HAS_FLAGS");
            }
        }

        private void blockSizes(ByteBuffer data) throws NbdException {
            exactly(data, 14, "NBD_INFO_BLOCK_SIZE");
            minimum = data.getInt(2);
            preferred = data.getInt(6);
            long most = Integer.toUnsignedLong(data.getInt(10));
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
            return new Negotiated(
                    name, size, flags, description, minimum, preferred, maximum, structured, extended, contexts);
        }
    }
}

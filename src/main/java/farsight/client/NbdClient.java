package farsight.client;

import farsight.config.NbdUri;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * An export of a server, over one connection or several, with many requests under way at once. Thread-safe.
 *
 * <p>Offsets and lengths are in bytes. Payload is off-heap (a native {@link MemorySegment} that any thread may use) and
 * must stay as it is until the request's future completes. Requests that are longer than the server or the protocol
 * allows are sent as several. A call waits while as many requests are in flight as {@link ClientOptions#requests} says.
 *
 * <p>A request that the server refuses fails with an {@link NbdException} that has the server's error value, text and
 * offset; a connection that is lost fails all of its requests. Futures are completed on the thread that receives the
 * connection's replies: what depends on them must not wait for other replies there.
 *
 * <p>Source: proto.md of the NBD project, "Transmission".
 */
public final class NbdClient implements AutoCloseable {
    /** Commands without payload are cut where their length would not fit into 32 bits; a multiple of any block size. */
    private static final long LARGEST_COMPACT = 1L << 31;

    private static final long LARGEST_EXTENDED = 1L << 62;

    /** Null when there is to be but one connection. */
    private final Connector connector;

    private final Negotiated negotiated;
    private final AtomicInteger turn = new AtomicInteger();

    /** Replaced as a whole when there is one more. */
    private volatile ClientConnection[] connections;

    private boolean full;
    private boolean closed;

    /** With that connection only. */
    NbdClient(ClientConnection only) {
        this(only, null);
    }

    private NbdClient(ClientConnection first, Connector connectorOrNull) {
        connector = connectorOrNull;
        connections = new ClientConnection[] {first};
        negotiated = first.negotiated();
    }

    /**
     * Connects and opens an export, with one connection.
     *
     * @param uri {@code nbd://host:port/export} or {@code nbd+unix:///export?socket=path}
     * @throws IOException one line for people
     */
    public static NbdClient connect(String uri) throws IOException {
        return connect(uri, ClientOptions.DEFAULT);
    }

    /**
     * Connects and opens an export.
     *
     * @throws IOException one line for people
     * @throws IllegalArgumentException for what is no NBD URI
     */
    public static NbdClient connect(String uri, ClientOptions options) throws IOException {
        NbdClient client = connectFirst(uri, options);
        try {
            while (client.mayGrow()) {
                client.add(client.connector.connect());
            }
            return client;
        } catch (IOException | RuntimeException e) {
            client.close();
            throw e;
        }
    }

    /** Likewise with one connection: the others come by {@link #grow}. */
    static NbdClient connectFirst(String uri, ClientOptions options) throws IOException {
        return connectFirst(new Connector(NbdUri.parse(uri), options, DescriptorSocket::connect));
    }

    /** Likewise in the way that is ready first: an interrupt of a thread that waits for a connection may end it. */
    static NbdClient connectSoon(String uri, ClientOptions options) throws IOException {
        return connectFirst(new Connector(NbdUri.parse(uri), options, ClientSocket::connect));
    }

    private static NbdClient connectFirst(Connector connector) throws IOException {
        return new NbdClient(connector.connect(), connector);
    }

    private interface Sockets {
        ClientSocket connect(NbdUri uri, Duration timeout) throws IOException;
    }

    /** Makes connections to one export. */
    private record Connector(NbdUri uri, ClientOptions options, Sockets sockets) {
        ClientConnection connect() throws IOException {
            ClientSocket socket = sockets.connect(uri, options.connectTimeout());
            try {
                return new ClientConnection(socket, ClientHandshake.open(socket, uri.export(), options), options);
            } catch (IOException | RuntimeException e) {
                socket.close();
                throw e;
            }
        }
    }

    /** How many connections there may be: what was asked for where the server allows several, otherwise one. */
    int mostConnections() {
        return connector != null && negotiated.multiConn() ? connector.options().connections() : 1;
    }

    /** Makes all connections that the server takes, up to as many as there may be. */
    void growFully() throws IOException {
        while (grow() != null) {}
    }

    /**
     * Makes one more connection. Any thread; one at a time.
     *
     * @return it; null when there are as many as there may be, or the server takes no more than it has
     * @throws IOException when it is to another export than the others
     */
    synchronized ClientConnection grow() throws IOException {
        if (!mayGrow()) {
            return null;
        }
        ClientConnection next;
        try {
            next = connector.connect();
        } catch (IOException e) {
            full = true;
            return null;
        }
        add(next);
        return next;
    }

    private synchronized boolean mayGrow() {
        return !closed && !full && connections.length < mostConnections();
    }

    private synchronized void add(ClientConnection next) throws IOException {
        if (next.negotiated().size() != negotiated.size() || next.negotiated().flags() != negotiated.flags()) {
            next.close();
            throw new NbdException(next.peer() + ": the export changed between two connections");
        }
        ClientConnection[] more = Arrays.copyOf(connections, connections.length + 1);
        more[more.length - 1] = next;
        connections = more;
    }

    /** What was agreed on; the same for all connections. */
    public Negotiated negotiated() {
        return negotiated;
    }

    /** Bytes. */
    public long size() {
        return negotiated.size();
    }

    /** How many connections there are. */
    public int connections() {
        return connections.length;
    }

    ClientConnection connection(int index) {
        return connections[index];
    }

    // ---- requests ------------------------------------------------------------------------------------------------

    /** Fills a segment from an offset on. */
    public void read(MemorySegment target, long offset) throws IOException {
        await(readAsync(target, offset));
    }

    /** @param flags {@link CommandFlag#DF} or none */
    public CompletableFuture<Void> readAsync(MemorySegment target, long offset, CommandFlag... flags) {
        return inPieces(Nbd.NBD_CMD_READ, CommandFlag.bits(flags), target, offset);
    }

    /** Stores a segment at an offset; with {@code fua} it is stable afterwards. */
    public void write(MemorySegment source, long offset, boolean fua) throws IOException {
        await(writeAsync(source, offset, fua));
    }

    public CompletableFuture<Void> writeAsync(MemorySegment source, long offset, boolean fua) {
        return inPieces(Nbd.NBD_CMD_WRITE, fua ? Nbd.NBD_CMD_FLAG_FUA : 0, source, offset);
    }

    /** Makes all completed writes stable. */
    public void flush() throws IOException {
        await(flushAsync());
    }

    /** One flush covers all connections: there are only several where the server promises it. */
    public CompletableFuture<Void> flushAsync() {
        return request(Nbd.NBD_CMD_FLUSH, 0, 0, 0, null);
    }

    /** Says that the content of a range is not needed any more. */
    public void trim(long offset, long length) throws IOException {
        await(trimAsync(offset, length));
    }

    /** @param flags {@link CommandFlag#FUA} or none */
    public CompletableFuture<Void> trimAsync(long offset, long length, CommandFlag... flags) {
        return ranged(Nbd.NBD_CMD_TRIM, CommandFlag.bits(flags), offset, length);
    }

    /** Makes a range read as zeroes. */
    public void zero(long offset, long length, boolean mayTrim) throws IOException {
        await(mayTrim ? zeroAsync(offset, length) : zeroAsync(offset, length, CommandFlag.NO_HOLE));
    }

    /** @param flags any of {@link CommandFlag#FUA}, {@link CommandFlag#NO_HOLE}, {@link CommandFlag#FAST_ZERO} */
    public CompletableFuture<Void> zeroAsync(long offset, long length, CommandFlag... flags) {
        return ranged(Nbd.NBD_CMD_WRITE_ZEROES, CommandFlag.bits(flags), offset, length);
    }

    /** Tells the server that a range will be read soon. */
    public void cache(long offset, long length) throws IOException {
        await(cacheAsync(offset, length));
    }

    public CompletableFuture<Void> cacheAsync(long offset, long length) {
        return ranged(Nbd.NBD_CMD_CACHE, 0, offset, length);
    }

    /**
     * What the agreed contexts say of a range, from its start on: servers may stop before its end, or tell of what lies
     * beyond it.
     *
     * @param length more than 0; at most 2^31 counts without extended headers
     * @param flags {@link CommandFlag#REQ_ONE} or none
     * @return extents by the name of their context
     */
    public CompletableFuture<Map<String, List<Extent>>> statusAsync(long offset, long length, CommandFlag... flags) {
        return statusAsync(negotiated.contexts(), offset, length, flags);
    }

    /**
     * Like {@link #statusAsync(long, long, CommandFlag...)}, in some of the agreed contexts. Servers with
     * NBD_FLAG_BLOCK_STATUS_PAYLOAD look into those only; of what others tell, the rest is left out.
     *
     * @param contexts some of {@link Negotiated#contexts}, each once
     */
    public CompletableFuture<Map<String, List<Extent>>> statusAsync(
            List<MetaContext> contexts, long offset, long length, CommandFlag... flags) {
        checkRange(offset, length);
        if (length == 0) {
            throw new IllegalArgumentException("the status of no bytes");
        }
        if (negotiated.contexts().isEmpty()) {
            return CompletableFuture.failedFuture(
                    new NbdException(connections[0].peer() + ": no metadata context was agreed on"));
        }
        if (contexts.isEmpty()
                || !negotiated.contexts().containsAll(contexts)
                || new HashSet<>(contexts).size() < contexts.size()) {
            throw new IllegalArgumentException("contexts must be some of those agreed on, each once");
        }
        boolean chosen = contexts.size() < negotiated.contexts().size() && negotiated.choosesContexts();
        // Not up to 2^32-1: nbdkit before 1.40 ends when an extent reaches that far (CVE-2025-47711).
        long most = negotiated.extended() ? LARGEST_EXTENDED : LARGEST_COMPACT;
        StatusRequest request = new StatusRequest(
                CommandFlag.bits(flags), offset, Math.min(length, most), List.copyOf(contexts), chosen);
        connection().submit(request);
        return request.result;
    }

    /** Like {@link #statusAsync}, waiting. */
    public Map<String, List<Extent>> status(long offset, long length, CommandFlag... flags) throws IOException {
        return await(statusAsync(offset, length, flags));
    }

    /**
     * All extents of a range in one context, joined where they are of one kind, cut at the range's end.
     *
     * @param context one of {@link Negotiated#contexts}
     */
    public List<Extent> extents(String context, long offset, long length) throws IOException {
        checkRange(offset, length);
        MetaContext asked = negotiated.context(context);
        if (asked == null) {
            throw new NbdException(connections[0].peer() + ": the metadata context " + context + " was not agreed on");
        }
        List<Extent> all = new ArrayList<>();
        long end = offset + length;
        for (long at = offset; at < end; ) {
            List<Extent> some = await(statusAsync(List.of(asked), at, end - at)).get(context);
            if (some == null) {
                throw new NbdException(connections[0].peer() + ": the server told nothing of " + context);
            }
            for (Extent extent : some) {
                Extent cut = new Extent(extent.offset(), Math.min(extent.end(), end) - extent.offset(), extent.flags());
                Extent last = all.isEmpty() ? null : all.get(all.size() - 1);
                if (last != null && last.flags() == cut.flags()) {
                    all.set(all.size() - 1, new Extent(last.offset(), last.length() + cut.length(), cut.flags()));
                } else {
                    all.add(cut);
                }
                at = cut.end();
            }
        }
        return all;
    }

    private static void checkRange(long offset, long length) {
        if (offset < 0 || length < 0 || length > Long.MAX_VALUE - offset) {
            throw new IllegalArgumentException(
                    "a range from " + offset + " of " + length + " bytes is not within 2^63-1 bytes");
        }
    }

    private CompletableFuture<Void> inPieces(int type, int flags, MemorySegment memory, long offset) {
        long length = memory.byteSize();
        checkRange(offset, length);
        int most = negotiated.maximumPayload();
        if (length <= most) {
            return request(type, flags, offset, length, memory);
        }
        Pieces pieces = new Pieces((int) ((length + most - 1) / most));
        for (long at = 0; at < length; at += most) {
            long part = Math.min(most, length - at);
            submit(type, flags, offset + at, part, memory.asSlice(at, part), pieces);
        }
        return pieces.result;
    }

    private CompletableFuture<Void> ranged(int type, int flags, long offset, long length) {
        checkRange(offset, length);
        long most = negotiated.extended() ? LARGEST_EXTENDED : LARGEST_COMPACT;
        if (length <= most) {
            return request(type, flags, offset, length, null);
        }
        long count = (length + most - 1) / most;
        Pieces pieces = new Pieces(Math.toIntExact(count));
        for (long at = 0; at < length; at += most) {
            submit(type, flags, offset + at, Math.min(most, length - at), null, pieces);
        }
        return pieces.result;
    }

    private CompletableFuture<Void> request(int type, int flags, long offset, long length, MemorySegment memory) {
        Pieces one = new Pieces(1);
        submit(type, flags, offset, length, memory, one);
        return one.result;
    }

    private void submit(int type, int flags, long offset, long length, MemorySegment memory, Pieces pieces) {
        int missing = missing(type, flags);
        if (missing != 0) {
            pieces.done(new NbdException(
                    connections[0].peer() + ": the server does not offer " + Nbd.commandName(type) + " with flags "
                            + flags,
                    Nbd.NBD_ENOTSUP));
        } else {
            connection().submit(new PieceRequest(type, flags, offset, length, memory, pieces));
        }
    }

    /** The transmission flags that the request needs and the server did not set. */
    private int missing(int type, int flags) {
        int needed = switch (type) {
            case Nbd.NBD_CMD_FLUSH -> Nbd.NBD_FLAG_SEND_FLUSH;
            case Nbd.NBD_CMD_TRIM -> Nbd.NBD_FLAG_SEND_TRIM;
            case Nbd.NBD_CMD_WRITE_ZEROES -> Nbd.NBD_FLAG_SEND_WRITE_ZEROES;
            case Nbd.NBD_CMD_CACHE -> Nbd.NBD_FLAG_SEND_CACHE;
            default -> 0;
        };
        needed |= (flags & Nbd.NBD_CMD_FLAG_FUA) != 0 ? Nbd.NBD_FLAG_SEND_FUA : 0;
        needed |= (flags & Nbd.NBD_CMD_FLAG_DF) != 0 ? Nbd.NBD_FLAG_SEND_DF : 0;
        needed |= (flags & Nbd.NBD_CMD_FLAG_FAST_ZERO) != 0 ? Nbd.NBD_FLAG_SEND_FAST_ZERO : 0;
        return needed & ~negotiated.flags();
    }

    private ClientConnection connection() {
        ClientConnection[] all = connections;
        return all.length == 1 ? all[0] : all[(turn.getAndIncrement() & Integer.MAX_VALUE) % all.length];
    }

    /** A future of several requests: done when all are, failed by the first that fails. */
    private static final class Pieces {
        final CompletableFuture<Void> result = new CompletableFuture<>();
        private final AtomicInteger left;
        private volatile IOException failure;

        Pieces(int count) {
            left = new AtomicInteger(count);
        }

        /** Memory may still be in use by other pieces, so that a failure, too, waits for them. */
        void done(IOException failureOrNull) {
            if (failureOrNull != null) {
                failure = failureOrNull;
            }
            if (left.decrementAndGet() > 0) {
                return;
            }
            if (failure == null) {
                result.complete(null);
            } else {
                result.completeExceptionally(failure);
            }
        }
    }

    private static final class PieceRequest extends ClientRequest {
        private final Pieces pieces;

        PieceRequest(int type, int flags, long offset, long length, MemorySegment memory, Pieces pieces) {
            super(type, flags, offset, length, memory);
            this.pieces = pieces;
        }

        @Override
        void done(IOException failureOrNull) {
            pieces.done(failureOrNull);
        }
    }

    static <T> T await(CompletableFuture<T> future) throws IOException {
        try {
            return future.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof IOException cause) {
                throw cause;
            }
            throw e;
        }
    }

    /** Says goodbye (NBD_CMD_DISC) and closes all connections. Requests that are under way fail. */
    @Override
    public synchronized void close() {
        closed = true;
        for (ClientConnection connection : connections) {
            connection.close();
        }
    }
}

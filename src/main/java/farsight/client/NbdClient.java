package farsight.client;

import farsight.config.NbdUri;
import farsight.protocol.Nbd;
import farsight.protocol.RequestHeader;
import farsight.protocol.SimpleReply;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A connection to an export, with many requests under way at once. Thread-safe. Offsets and lengths are in bytes;
 * payload is off-heap and must stay as it is until the request's future completes. A request that the server refuses
 * fails with an {@link NbdException}; a connection that is lost fails all of them (proto.md, "Transmission").
 */
public final class NbdClient implements AutoCloseable {
    private static final Duration CONNECT_LIMIT = Duration.ofSeconds(10);

    /** More than this makes no server faster and some refuse it. */
    private static final int MOST_IN_FLIGHT = 128;

    private record Pending(int type, MemorySegment target, CompletableFuture<Void> done) {}

    private final ClientSocket socket;
    private final Negotiated negotiated;
    private final ConcurrentHashMap<Long, Pending> pending = new ConcurrentHashMap<>();
    private final AtomicLong cookies = new AtomicLong();
    private final Semaphore slots = new Semaphore(MOST_IN_FLIGHT);
    private final Object sendLock = new Object();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment header = arena.allocate(RequestHeader.SIZE);
    private final Thread receiver;
    private volatile NbdException lost;
    private boolean closed;

    private NbdClient(ClientSocket socket, Negotiated negotiated) {
        this.socket = socket;
        this.negotiated = negotiated;
        receiver = Thread.ofPlatform().name("nbd-replies").daemon(true).start(this::receive);
    }

    /**
     * Connects and opens an export.
     *
     * @throws IOException one line for people
     */
    public static NbdClient connect(String uri) throws IOException {
        return connect(NbdUri.parse(uri));
    }

    /** Connects and opens an export. */
    static NbdClient connect(NbdUri uri) throws IOException {
        ClientSocket socket = ClientSocket.connect(uri, CONNECT_LIMIT);
        try {
            return new NbdClient(socket, ClientHandshake.open(socket, uri.export()));
        } catch (IOException | RuntimeException e) {
            socket.close();
            throw e;
        }
    }

    public Negotiated negotiated() {
        return negotiated;
    }

    /** Bytes. */
    public long size() {
        return negotiated.size();
    }

    // ---- requests ------------------------------------------------------------------------------------------------

    /** Fills a segment from an offset on. */
    public void read(MemorySegment target, long offset) throws IOException {
        await(readAsync(target, offset));
    }

    public CompletableFuture<Void> readAsync(MemorySegment target, long offset) {
        return inPieces(Nbd.NBD_CMD_READ, 0, target, offset);
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
        await(request(Nbd.NBD_CMD_FLUSH, 0, 0, 0, null));
    }

    /** Says that the content of a range is not needed any more. */
    public void trim(long offset, long length) throws IOException {
        await(ranged(Nbd.NBD_CMD_TRIM, 0, offset, length));
    }

    /** Makes a range read as zeroes. */
    public void zero(long offset, long length, boolean mayTrim) throws IOException {
        await(ranged(Nbd.NBD_CMD_WRITE_ZEROES, mayTrim ? 0 : Nbd.NBD_CMD_FLAG_NO_HOLE, offset, length));
    }

    private CompletableFuture<Void> inPieces(int type, int flags, MemorySegment memory, long offset) {
        int most = negotiated.maximumPayload();
        if (memory.byteSize() <= most) {
            return request(type, flags, offset, memory.byteSize(), memory);
        }
        CompletableFuture<Void> all = CompletableFuture.completedFuture(null);
        for (long at = 0; at < memory.byteSize(); at += most) {
            MemorySegment piece = memory.asSlice(at, Math.min(most, memory.byteSize() - at));
            all = all.thenCombine(request(type, flags, offset + at, piece.byteSize(), piece), (a, b) -> null);
        }
        return all;
    }

    /** Commands without payload are cut where their length would not fit into 32 bits. */
    private CompletableFuture<Void> ranged(int type, int flags, long offset, long length) {
        long most = 1L << 30;
        CompletableFuture<Void> all = CompletableFuture.completedFuture(null);
        for (long at = 0; at < length; at += most) {
            all = all.thenCombine(request(type, flags, offset + at, Math.min(most, length - at), null), (a, b) -> null);
        }
        return all;
    }

    private CompletableFuture<Void> request(int type, int flags, long offset, long length, MemorySegment memory) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        slots.acquireUninterruptibly();
        long cookie = cookies.incrementAndGet();
        pending.put(cookie, new Pending(type, type == Nbd.NBD_CMD_READ ? memory : null, done));
        try {
            synchronized (sendLock) {
                if (closed || lost != null) {
                    throw lost != null ? lost : new NbdException("the connection is closed");
                }
                RequestHeader.write(header, 0, flags, type, cookie, offset, length);
                socket.send(header);
                if (type == Nbd.NBD_CMD_WRITE) {
                    socket.send(memory);
                }
            }
        } catch (NbdException e) {
            if (pending.remove(cookie) != null) {
                slots.release();
                done.completeExceptionally(e);
            }
        }
        return done;
    }

    private static void await(CompletableFuture<Void> future) throws IOException {
        try {
            future.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof IOException cause) {
                throw cause;
            }
            throw e;
        }
    }

    // ---- replies -------------------------------------------------------------------------------------------------

    private void receive() {
        try (Arena own = Arena.ofConfined()) {
            MemorySegment reply = own.allocate(SimpleReply.SIZE);
            while (true) {
                socket.receive(reply);
                if (SimpleReply.magic(reply, 0) != Nbd.NBD_SIMPLE_REPLY_MAGIC) {
                    throw new NbdException(socket.peer() + ": the server sent something that is no reply");
                }
                Pending request = pending.remove(SimpleReply.cookie(reply, 0));
                if (request == null) {
                    throw new NbdException(socket.peer() + ": the server answered a request that was not made");
                }
                finish(request, SimpleReply.error(reply, 0));
            }
        } catch (NbdException e) {
            lost = e;
            socket.shutdown();
            failAll(e);
        }
    }

    private void finish(Pending request, int error) throws NbdException {
        if (error == 0 && request.target() != null) {
            try {
                socket.receive(request.target());
            } catch (NbdException e) {
                slots.release();
                request.done().completeExceptionally(e);
                throw e;
            }
        }
        slots.release();
        if (error == 0) {
            request.done().complete(null);
        } else {
            request.done()
                    .completeExceptionally(new NbdException(
                            socket.peer() + ": " + Nbd.commandName(request.type()) + " failed: " + Nbd.errorName(error),
                            error));
        }
    }

    private void failAll(NbdException cause) {
        for (Long cookie : pending.keySet()) {
            Pending request = pending.remove(cookie);
            if (request != null) {
                slots.release();
                request.done().completeExceptionally(cause);
            }
        }
    }

    /** Says goodbye (NBD_CMD_DISC) and closes. Requests that are under way fail. */
    @Override
    public void close() {
        synchronized (sendLock) {
            if (closed) {
                return;
            }
            closed = true;
            if (lost == null) {
                RequestHeader.write(header, 0, 0, Nbd.NBD_CMD_DISC, 0, 0, 0);
                try {
                    socket.send(header);
                } catch (NbdException e) {
                    // It is gone already, which is what was wanted.
                }
            }
        }
        socket.shutdown();
        try {
            receiver.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        socket.close();
        arena.close();
    }
}

package farsight.client;

import farsight.protocol.Nbd;
import farsight.sys.CallState;
import farsight.sys.QuickCalls;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Copies a file or an export to a file or an export: all of the source, with many requests in flight over several
 * connections. What the source knows to be zeroes is not read, and becomes holes or WRITE_ZEROES. Data goes from a file
 * to a socket without passing through this process, and from a socket to a file by memory that stays in the processor's
 * cache, or from a single socket by a pipe or a second thread. A regular file that is the target is replaced; an export
 * or device must be large enough, and what it has beyond the source's size stays. Afterwards the data is stable.
 *
 * <p>{@link #run} is called once; the other methods may be called from any thread meanwhile.
 */
public final class Copy {
    private static final int ZEROES = 1 << 20;
    private static final int READ = 512 << 10;
    private static final int LARGE = 1 << 20;

    /** Reads asked for by threads that receive: so few fit into a socket, so that asking never waits for the server. */
    private static final int MOST_READS = 128;

    private final String from;
    private final String to;
    private final CopyOptions options;
    private final AtomicLong moved = new AtomicLong();
    private volatile long size = -1;

    private CopyPlan plan;
    private MemorySegment zeroes;
    private int inFlight;
    private IOException failure;

    /**
     * @param from a path or an NBD URI
     * @param to likewise; a file is made if it does not exist
     */
    public Copy(String from, String to, CopyOptions options) {
        this.from = from;
        this.to = to;
        this.options = options;
    }

    /** Bytes of the source that are at the target by now, zeroes included; with verification twice as many in the end. */
    public long moved() {
        return moved.get();
    }

    /** Bytes of the source; -1 before they are known. */
    public long size() {
        return size;
    }

    /**
     * Does it.
     *
     * @return bytes of the source
     * @throws IOException one line for people
     */
    public long run() throws IOException {
        boolean soon = isUri(from) && !isUri(to) && !options.verify() && NewFile.is(to);
        try (CopySide source = isUri(from) ? export(from, true, soon) : FileSide.source(from)) {
            size = source.size();
            refuseSame();
            try (CopySide target = isUri(to) ? export(to, false, false) : file(soon)) {
                if (target.size() < size) {
                    throw new IOException(
                            to + ": has " + target.size() + " bytes, fewer than the " + size + " of " + from);
                }
                if (target instanceof NbdSide nbd && nbd.client.negotiated().readOnly()) {
                    throw new IOException(to + ": the export is read-only");
                }
                copy(source, target);
                target.flush();
                if (options.verify()) {
                    growFully(source);
                    growFully(target);
                    new Comparison(source, target, options, requestSize(source, target), moved).run();
                }
            }
            return size;
        }
    }

    private static boolean isUri(String place) {
        return place.startsWith("nbd:") || place.startsWith("nbd+unix:") || place.startsWith("nbds");
    }

    private NbdSide export(String uri, boolean source, boolean soon) throws IOException {
        ClientOptions client = options.client(source);
        return new NbdSide(uri, soon ? NbdClient.connectSoon(uri, client) : NbdClient.connectFirst(uri, client));
    }

    /** What copies a lot makes its other connections while the first one works; others need all of them at once. */
    private static void growFully(CopySide side) throws IOException {
        if (side instanceof NbdSide nbd) {
            nbd.client.growFully();
        }
    }

    private CopySide file(boolean soon) throws IOException {
        NewFile file = soon ? NewFile.open(to, size) : null;
        return file == null ? FileSide.target(to, size) : file;
    }

    /** A file that is emptied before it is read would be lost. */
    private void refuseSame() throws IOException {
        if (!isUri(from) && !isUri(to)) {
            java.nio.file.Path target = java.nio.file.Path.of(to);
            if (java.nio.file.Files.exists(target)
                    && java.nio.file.Files.isSameFile(java.nio.file.Path.of(from), target)) {
                throw new IOException(to + ": is the same file as " + from);
            }
        }
    }

    /** What a server has read for one that writes it to a file should still be in the processor's cache. */
    private int requestSize(CopySide source, CopySide target) {
        if (options.requestSize() != 0) {
            return options.requestSize();
        }
        return source instanceof NbdSide && target instanceof WritableFile ? READ : LARGE;
    }

    private void copy(CopySide source, CopySide target) throws IOException {
        int most = requestSize(source, target);
        if (source instanceof NbdSide nbd) {
            most = Math.min(most, nbd.client.negotiated().maximumPayload());
        }
        if (target instanceof NbdSide nbd) {
            most = Math.min(most, nbd.client.negotiated().maximumPayload());
        }
        long planned = target instanceof NbdSide nbd ? nbd.wholeBlocks(size) : size;
        plan = new CopyPlan(source, planned, most, Math.max(source.alignment(), target.alignment()));
        zeroes = target instanceof NewFile ? null : QuickCalls.map(ZEROES);
        try {
            if (target instanceof NbdSide to) {
                if (source instanceof FileSide file) {
                    fileToExport(file, to);
                } else {
                    growFully(source);
                    growFully(target);
                    exportToExport((NbdSide) source, to, most);
                }
            } else if (source instanceof NbdSide nbd) {
                exportToFile(nbd, (WritableFile) target);
            } else {
                fileToFile((FileSide) source, (FileSide) target);
            }
        } finally {
            awaitNothingInFlight();
            if (zeroes != null) {
                QuickCalls.unmap(zeroes);
            }
        }
        throwFailure();
        if (planned < size) {
            copyTail(source, (NbdSide) target, planned);
        }
    }

    /** The end of a source that ends within a block of the target. */
    private void copyTail(CopySide source, NbdSide target, long offset) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment tail = arena.allocate(size - offset);
            source.read(tail, offset);
            target.writeBeginning(tail, offset);
        }
        moved.addAndGet(size - offset);
    }

    // ---- what is in flight ---------------------------------------------------------------------------------------

    private synchronized void begin() {
        inFlight++;
    }

    private synchronized void end(long bytes, IOException failureOrNull) {
        if (failureOrNull == null) {
            moved.addAndGet(bytes);
        } else if (failure == null) {
            failure = failureOrNull;
            plan.stop();
        }
        if (--inFlight == 0) {
            notifyAll();
        }
    }

    private synchronized boolean failed() {
        return failure != null;
    }

    private synchronized void awaitNothingInFlight() {
        boolean interrupted = false;
        while (inFlight > 0) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
                plan.stop();
            }
        }
        if (interrupted) {
            failure = failure == null ? new IOException("interrupted") : failure;
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void throwFailure() throws IOException {
        if (failure != null) {
            throw failure;
        }
    }

    // ---- requests ------------------------------------------------------------------------------------------------

    /** A request that is part of the copy. */
    private class Part extends ClientRequest {
        Part(int type, CopyPlan.Piece piece, MemorySegment memory) {
            super(type, 0, piece.offset(), piece.length(), memory);
            begin();
        }

        @Override
        void done(IOException failureOrNull) {
            end(length, failureOrNull);
        }
    }

    private void zeroExport(NbdSide target, ClientConnection connection, CopyPlan.Piece piece) {
        if (target.client.negotiated().canZero()) {
            connection.submit(new Part(Nbd.NBD_CMD_WRITE_ZEROES, piece, null));
            return;
        }
        for (long done = 0; done < piece.length(); ) {
            long part = Math.min(Math.min(ZEROES, target.client.negotiated().maximumPayload()), piece.length() - done);
            connection.submit(new Part(
                    Nbd.NBD_CMD_WRITE, new CopyPlan.Piece(piece.offset() + done, part, true), zeroes.asSlice(0, part)));
            done += part;
        }
    }

    // ---- file to export ------------------------------------------------------------------------------------------

    /**
     * A thread for each connection, since each waits for its server to take what it sends. All but the first make theirs
     * themselves, if there is more to do than fits into one.
     */
    private void fileToExport(FileSide source, NbdSide target) throws IOException {
        long useful = 1 + size / ((long) options.requests() * requestSize(source, target));
        int others = (int) Math.min(target.client.mostConnections(), useful) - 1;
        for (int i = 0; i < others; i++) {
            begin();
            Thread thread = new Thread(null, new Sender(source, target, false), "copy");
            thread.setDaemon(true);
            thread.start();
        }
        begin();
        new Sender(source, target, true).run();
    }

    private final class Sender implements Runnable {
        private final FileSide source;
        private final NbdSide target;
        private final boolean first;

        Sender(FileSide source, NbdSide target, boolean first) {
            this.source = source;
            this.target = target;
            this.first = first;
        }

        @Override
        public void run() {
            IOException failed = null;
            try {
                ClientConnection connection = first ? target.client.connection(0) : target.client.grow();
                if (connection != null) {
                    send(connection);
                }
            } catch (IOException e) {
                failed = e;
            } catch (RuntimeException e) {
                failed = new IOException("unexpected: " + e, e); // somebody waits for the end
            }
            end(0, failed);
        }

        private void send(ClientConnection connection) throws IOException {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment position = arena.allocate(ValueLayout.JAVA_LONG);
                for (CopyPlan.Piece piece = plan.next(); piece != null; piece = plan.next()) {
                    if (piece.zero()) {
                        zeroExport(target, connection, piece);
                    } else {
                        connection.submit(new FilePart(source, piece, position));
                    }
                }
            }
        }
    }

    /** A write whose payload comes from a file. */
    private final class FilePart extends Part {
        private final FileSide source;
        private final MemorySegment position;

        FilePart(FileSide source, CopyPlan.Piece piece, MemorySegment position) {
            super(Nbd.NBD_CMD_WRITE, piece, null);
            this.source = source;
            this.position = position;
        }

        @Override
        void send(ClientSocket socket, Memory header, int headerLength) throws NbdException {
            long sent = Math.max(0, socket.sendFile(header, headerLength, source.fd, position, offset, length));
            if (sent < length) {
                sendRest(socket, sent);
            }
        }

        /** For files that the kernel cannot send from, and for those that became shorter. */
        private void sendRest(ClientSocket socket, long sent) throws NbdException {
            MemorySegment buffer = null;
            try (CallState state = CallState.open()) {
                buffer = QuickCalls.map(length - sent);
                source.read(state, buffer.address(), length - sent, offset + sent);
                socket.send(buffer);
            } catch (NbdException e) {
                throw e;
            } catch (IOException e) {
                throw new NbdException(e.getMessage());
            } finally {
                if (buffer != null) {
                    QuickCalls.unmap(buffer);
                }
            }
        }
    }

    // ---- export to file ------------------------------------------------------------------------------------------

    private void exportToFile(NbdSide source, WritableFile target) throws IOException {
        new ExportToFile(source, target).run();
    }

    /** The thread that runs it plans; the receiving threads pass on what comes, and ask for more. */
    private final class ExportToFile {
        private final NbdSide source;
        private final FileWriter planner;
        private final FileWriter[] writers;
        private final PieceQueue pieces;

        /** Only of a single connection: with several, receiving by one beside writing by another gains more. */
        private final SocketPipe pipe;

        /** What the pipe leads to. */
        private final FileSide.Writer piped;

        /** Likewise, for files without a descriptor. */
        private final Behind behind;

        ExportToFile(NbdSide source, WritableFile target) {
            this.source = source;
            planner = target.writer(zeroes);
            int connections = source.client.mostConnections();
            pieces = new PieceQueue(connections, Math.min(options.requests(), MOST_READS));
            pieces.join();
            writers = new FileWriter[connections];
            for (int i = 0; i < connections; i++) {
                writers[i] = target.writer(zeroes);
            }
            boolean single = connections == 1;
            piped = single && target instanceof FileSide file ? file.writer(zeroes) : null;
            pipe = piped == null ? null : new SocketPipe();
            behind = single && target instanceof NewFile ? new Behind(target.writer(zeroes)) : null;
        }

        void run() throws IOException {
            try {
                for (CopyPlan.Piece piece = plan.next(); piece != null && !failed(); piece = plan.next()) {
                    if (piece.zero()) {
                        planner.zero(piece.offset(), piece.length());
                        moved.addAndGet(piece.length());
                        continue;
                    }
                    int connection = pieces.add(piece);
                    if (connection >= 0) {
                        ask(connection, piece);
                    } else if (pieces.needsAnother() && source.client.grow() != null) {
                        pieces.join();
                    }
                }
            } catch (IOException | RuntimeException e) {
                pieces.stop();
                throw e;
            } finally {
                awaitNothingInFlight();
                if (pipe != null) {
                    pipe.close();
                }
                if (behind != null) {
                    behind.stop();
                }
            }
        }

        private void ask(int connection, CopyPlan.Piece piece) {
            source.client.connection(connection).submit(new Read(connection, piece));
        }

        private final class Read extends Part {
            private final int connection;

            Read(int connection, CopyPlan.Piece piece) {
                super(Nbd.NBD_CMD_READ, piece, null);
                this.connection = connection;
            }

            @Override
            Memory data(Memory memory, int bytes, long at) throws IOException {
                if (behind != null) {
                    return behind.write(memory, bytes, at);
                }
                writers[connection].write(memory, bytes, at);
                return memory;
            }

            @Override
            SocketPipe pipe() {
                return pipe == null || !pipe.usable() ? null : pipe;
            }

            @Override
            void pipedData(long bytes, long at) throws IOException {
                piped.write(pipe, bytes, at);
            }

            @Override
            void zeroes(long at, long bytes) throws IOException {
                writers[connection].zero(at, bytes);
            }

            @Override
            void done(IOException failureOrNull) {
                if (failureOrNull != null) {
                    pieces.stop();
                } else {
                    CopyPlan.Piece following = pieces.next(connection);
                    if (following != null) {
                        ask(connection, following);
                    }
                }
                super.done(failureOrNull);
            }
        }
    }

    /** Writes with a thread of its own, a few pieces behind the one that receives them. */
    private final class Behind implements Runnable {
        /** As much as stays in the processors' caches. */
        private static final int MOST = 3;

        private final FileWriter writer;
        private final ArrayDeque<Received> received = new ArrayDeque<>();
        private final ArrayDeque<Memory> free = new ArrayDeque<>();
        private boolean stopped;

        private record Received(Memory memory, int bytes, long at) {}

        Behind(FileWriter writer) {
            this.writer = writer;
            for (int i = 1; i < MOST; i++) {
                free.add(Memory.collected(ReplyReader.PIECE));
            }
            Thread thread = new Thread(null, this, "copy");
            thread.setDaemon(true);
            thread.start();
        }

        /** Writes it later; returns other memory, after waiting for some. */
        synchronized Memory write(Memory memory, int bytes, long at) throws IOException {
            begin();
            received.add(new Received(memory, bytes, at));
            notifyAll();
            while (free.isEmpty()) {
                await();
            }
            return free.poll();
        }

        private void await() throws IOException {
            try {
                wait();
            } catch (InterruptedException e) {
                throw new IOException("interrupted", e);
            }
        }

        @Override
        public void run() {
            try {
                for (Received next = next(); next != null; next = next()) {
                    IOException failed = null;
                    try {
                        writer.write(next.memory, next.bytes, next.at);
                    } catch (IOException e) {
                        failed = e;
                    }
                    written(next.memory);
                    end(0, failed);
                }
            } catch (IOException e) {
                // Nobody interrupts it.
            }
        }

        private synchronized Received next() throws IOException {
            while (received.isEmpty()) {
                if (stopped) {
                    return null;
                }
                await();
            }
            return received.poll();
        }

        private synchronized void written(Memory memory) {
            free.add(memory);
            notifyAll();
        }

        synchronized void stop() {
            stopped = true;
            notifyAll();
        }
    }

    // ---- export to export ----------------------------------------------------------------------------------------

    private void exportToExport(NbdSide source, NbdSide target, int most) throws IOException {
        // Not more than the target takes at once, so that no receiving thread ever waits for a slot.
        int count = Math.min(options.requests(), 16);
        MemorySegment memory = QuickCalls.map((long) count * most);
        ArrayDeque<MemorySegment> free = new ArrayDeque<>();
        for (int i = 0; i < count; i++) {
            free.add(memory.asSlice((long) i * most, most));
        }
        try {
            int turn = 0;
            for (CopyPlan.Piece piece = plan.next(); piece != null; piece = plan.next()) {
                int from = turn % source.client.connections();
                int to = turn++ % target.client.connections();
                MemorySegment buffer = take(free);
                if (piece.zero()) {
                    give(free, buffer);
                    zeroExport(target, target.client.connection(to), piece);
                } else {
                    source.client.connection(from).submit(new Relay(piece, buffer, free, target.client.connection(to)));
                }
            }
        } finally {
            awaitNothingInFlight();
            QuickCalls.unmap(memory);
        }
    }

    private static MemorySegment take(ArrayDeque<MemorySegment> free) throws IOException {
        synchronized (free) {
            while (free.isEmpty()) {
                try {
                    free.wait();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException("interrupted", e);
                }
            }
            return free.poll();
        }
    }

    private static void give(ArrayDeque<MemorySegment> free, MemorySegment buffer) {
        synchronized (free) {
            free.add(buffer);
            free.notifyAll();
        }
    }

    /** A read that becomes a write. */
    private final class Relay extends Part {
        private final CopyPlan.Piece piece;
        private final MemorySegment buffer;
        private final ArrayDeque<MemorySegment> free;
        private final ClientConnection target;

        Relay(CopyPlan.Piece piece, MemorySegment buffer, ArrayDeque<MemorySegment> free, ClientConnection target) {
            super(Nbd.NBD_CMD_READ, piece, buffer.asSlice(0, piece.length()));
            this.piece = piece;
            this.buffer = buffer;
            this.free = free;
            this.target = target;
        }

        @Override
        void done(IOException failureOrNull) {
            if (failureOrNull == null) {
                target.submit(new Part(Nbd.NBD_CMD_WRITE, piece, memory) {
                    @Override
                    void done(IOException failed) {
                        give(free, buffer);
                        super.done(failed);
                    }
                });
                end(0, null);
            } else {
                give(free, buffer);
                end(0, failureOrNull);
            }
        }
    }

    // ---- file to file --------------------------------------------------------------------------------------------

    private void fileToFile(FileSide source, FileSide target) throws IOException {
        MemorySegment buffer = QuickCalls.map(requestSize(source, target));
        try (CallState state = CallState.open()) {
            boolean inKernel = true;
            for (CopyPlan.Piece piece = plan.next(); piece != null; piece = plan.next()) {
                if (piece.zero()) {
                    target.zero(state, zeroes, piece.offset(), piece.length());
                } else {
                    inKernel = inKernel && source.copyRange(target, piece.offset(), piece.length());
                    if (!inKernel) {
                        source.read(state, buffer.address(), piece.length(), piece.offset());
                        target.write(state, buffer.address(), piece.length(), piece.offset());
                    }
                }
                moved.addAndGet(piece.length());
            }
        } finally {
            QuickCalls.unmap(buffer);
        }
    }
}

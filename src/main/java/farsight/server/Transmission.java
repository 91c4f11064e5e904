package farsight.server;

import farsight.backend.Errno;
import farsight.backend.ExtentSink;
import farsight.backend.Feature;
import farsight.backend.Request.Command;
import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import farsight.loop.Channel;
import farsight.protocol.MetaContext;
import farsight.protocol.Nbd;
import farsight.protocol.ReplyStyle;
import farsight.protocol.RequestHeader;
import farsight.protocol.RequestValidator;
import farsight.protocol.StatusFilter;
import java.lang.foreign.MemorySegment;
import java.time.Duration;

/**
 * The transmission phase of a connection (proto.md, "Transmission"). All complete requests of a
 * receive are started before anything is answered; all finished ones leave together at the end of the turn. Large
 * requests go through the device in pieces. Loop thread only.
 */
final class Transmission implements Phase, RequestReader.Sink {
    /** Shorter reads are not looked at for holes: they hardly ever have any, and the look costs as much as the read. */
    private static final int LEAST_SPARSE_READ = 32 << 10;

    /** Descriptors of one context in one reply, in bytes. */
    private static final int STATUS_BYTES = 16 << 10;

    /** How often a request goes to a device that completes at once before others get their turn. */
    private static final int MOST_ROUNDS = 64;

    /** A connection over its export's rate is looked at no more often than this, in nanoseconds. */
    private static final long LEAST_RESPITE = 1_000_000;

    /** How long clients may still ask, and be told that the server is stopping, before they are disconnected. */
    private static final Duration FAREWELL = Duration.ofMillis(200);

    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Pool pool;
    private final Export export;
    private final ReplyStyle style;
    private final int contexts;
    private final int flags;
    private final int minimumBlock;
    private final int largestPiece;
    private final RequestReader reader;
    private final Outbox outbox;
    private final ReplyWriter writer;

    /** The large read whose reply has begun: nothing may come between its pieces. */
    private IoRequest streaming;

    private boolean streamNeedsMemory;

    /** Other reads that need memory for their next piece. */
    private IoRequest starved;

    /** When what is being looked at was received; and when what is being gathered is sent. */
    private long receivedAt;

    private long sendsAt;
    private final Traffic traffic;
    private final Usage usage;

    /** Null for as much as there is. */
    private final Rate rate;

    private boolean overRate;
    private int inFlight;
    private int atDevice;
    private long bytesInFlight;
    private int invalid;
    private boolean waitsForPool;
    private boolean disconnecting;
    private boolean clientLeft;
    private boolean toldQuiet;
    private boolean dead;

    Transmission(Connection connection, Channel channel, ServerLoop loop, Export export, Terms terms, Rate rate) {
        this.rate = rate;
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.export = export;
        pool = loop.loop().pool();
        style = terms.style();
        contexts = MetaContext.mask(terms.contexts());
        flags = export.transmissionFlags(terms)
                | (style.extended() ? RequestValidator.EXTENDED : 0)
                | (contexts != 0 ? RequestValidator.BLOCK_STATUS : 0);
        minimumBlock = export.device().blockSizes().minimum();
        largestPiece = Math.min(export.device().blockSizes().maximum(), Pool.LARGEST);
        traffic = export.traffic(loop);
        usage = connection.usage();
        receivedAt = loop.loop().now();
        sendsAt = receivedAt;
        reader = new RequestReader(channel, this, largestPiece, style.requestSize());
        outbox = new Outbox();
        writer = new ReplyWriter(outbox, style);
    }

    // ---- receiving -----------------------------------------------------------------------------------------------

    @Override
    public void received(Buffer buffer, int from, int length) {
        receivedAt = loop.loop().now();
        reader.received(buffer, from, length);
        export.device().submitted();
        channel.touch();
    }

    @Override
    public void filled(boolean more) {
        receivedAt = loop.loop().now();
        reader.filled(more);
        export.device().submitted();
        channel.touch();
    }

    @Override
    public boolean mayStart() {
        return !waitsForPool
                // The kernel's client sends what was not answered again, elsewhere or later; an error it would hand on.
                && (style.chunked() || !connection.stopping())
                && inFlight < connection.limits().maxRequests()
                && bytesInFlight < connection.limits().maxBytes()
                && (rate == null || connection.stopping() || withinRate());
    }

    /** Whether the export is asked for no more than it may be; tries again by itself when it is. */
    private boolean withinRate() {
        long delay = rate.delay(loop.loop().now());
        if (delay > 0 && !overRate) {
            overRate = true;
            loop.loop().after(Duration.ofNanos(Math.max(delay, LEAST_RESPITE)), () -> {
                overRate = false;
                if (!dead) {
                    channel.touch();
                }
            });
        }
        return delay == 0;
    }

    /** When the client last did something; now when it waits for others than itself. */
    long heardOf() {
        if (atDevice > 0 || overRate || waitsForPool) {
            return loop.loop().now();
        }
        return receivedAt - sendsAt > 0 ? receivedAt : sendsAt;
    }

    @Override
    public boolean start(MemorySegment header, long at) {
        int magic = style.extended() ? Nbd.NBD_EXTENDED_REQUEST_MAGIC : Nbd.NBD_REQUEST_MAGIC;
        if (RequestHeader.magic(header, at) != magic) {
            connection.protocolError("sent something that is no request (wrong magic)");
            disconnect();
            return true;
        }
        int type = RequestHeader.type(header, at);
        if (type == Nbd.NBD_CMD_DISC) {
            clientLeft = true;
            disconnect();
            return true;
        }
        int commandFlags = RequestHeader.flags(header, at);
        long length = style.extended() ? RequestHeader.extendedLength(header, at) : RequestHeader.length(header, at);
        long payload = RequestValidator.payload(type, commandFlags, length, style.extended());
        if (style.extended() && Long.compareUnsigned(payload, Nbd.MAX_PAYLOAD) > 0) {
            connection.protocolError("sent a payload of " + Long.toUnsignedString(payload) + " bytes; at most "
                    + Nbd.MAX_PAYLOAD + " are taken");
            disconnect();
            return true;
        }
        IoRequest request = loop.take(this);
        request.type = type;
        request.cookie = RequestHeader.cookie(header, at);
        request.start = RequestHeader.offset(header, at);
        request.wanted = length;
        request.arrived = receivedAt;
        request.wantsFua = (commandFlags & Nbd.NBD_CMD_FLAG_FUA) != 0;
        boolean filtered = type == Nbd.NBD_CMD_BLOCK_STATUS && payload > 0;
        if (filtered && !connection.stopping() && mayFilter(payload)) {
            return startFilteredStatus(request, commandFlags, (int) payload);
        }
        int error = filtered ? Nbd.NBD_EINVAL : check(request, commandFlags);
        if (connection.stopping()) {
            error = Nbd.NBD_ESHUTDOWN;
        }
        if (error != 0) {
            admit(request, 0);
            refuse(request, commandFlags, error, payload);
            return true;
        }
        if (request.wanted == 0 && type != Nbd.NBD_CMD_FLUSH) {
            admit(request, 0);
            outbox.add(request);
            return true;
        }
        switch (type) {
            case Nbd.NBD_CMD_READ -> {
                return startRead(request, (commandFlags & Nbd.NBD_CMD_FLAG_DF) != 0);
            }
            case Nbd.NBD_CMD_WRITE -> startWrite(request);
            case Nbd.NBD_CMD_BLOCK_STATUS -> {
                if (!takeStatusBuffers(request, contexts)) {
                    return false;
                }
                startStatus(request, commandFlags);
            }
            default -> startOther(request, commandFlags);
        }
        return true;
    }

    private int check(IoRequest request, int commandFlags) {
        return RequestValidator.check(
                request.type, commandFlags, request.start, request.wanted, flags, export.size(), minimumBlock);
    }

    private void admit(IoRequest request, long bytes) {
        inFlight++;
        request.admitted = bytes;
        if (rate != null) {
            boolean payload = request.type == Nbd.NBD_CMD_READ || request.type == Nbd.NBD_CMD_WRITE;
            rate.charge(receivedAt, payload ? Math.clamp(request.wanted, 0, Nbd.MAX_PAYLOAD) : 0);
        }
        bytesInFlight += bytes;
    }

    /** @param payload bytes of the request that are still to come and have to be passed over */
    private void refuse(IoRequest request, int commandFlags, int error, long payload) {
        request.errno = error;
        if (style.chunked()) {
            request.reason = error == Nbd.NBD_ESHUTDOWN
                    ? "the server is stopping"
                    : RequestValidator.explain(
                            request.type,
                            commandFlags,
                            request.start,
                            request.wanted,
                            flags,
                            export.size(),
                            minimumBlock);
        }
        connection.requestRefused(request, error);
        int allowed = connection.limits().maxErrors();
        if (error != Nbd.NBD_ESHUTDOWN && ++invalid > allowed) {
            connection.protocolError("sent more than max_errors = " + allowed + " invalid requests; the last was "
                    + Nbd.commandName(request.type) + " at " + Long.toUnsignedString(request.start) + " of "
                    + Long.toUnsignedString(request.wanted) + " bytes (" + Nbd.errorName(error) + ")");
            outbox.add(request);
            disconnect();
        } else if (payload > 0) {
            reader.skip(request, payload);
        } else {
            outbox.add(request);
        }
    }

    @Override
    public void skipped(IoRequest request) {
        outbox.add(request);
    }

    /** No more requests; the connection ends when those that were started are answered. */
    private void disconnect() {
        disconnecting = true;
        reader.stop();
        channel.touch();
    }

    // ---- requests ------------------------------------------------------------------------------------------------

    private boolean startRead(IoRequest request, boolean dontFragment) {
        request.unbroken = dontFragment || !style.chunked();
        if (request.unbroken && export.memory() != 0) {
            admit(request, 0);
            request.address = export.memory() + request.start;
            request.length = request.wanted;
            outbox.add(request);
            return true;
        }
        if (request.unbroken || export.memory() == 0 && !worthAPlan(request)) {
            if (!readPiece(request, request.wanted)) {
                loop.giveBack(request);
                return false;
            }
            admit(request, request.wanted);
            plan(request).begin(request.wanted, minimumBlock);
            submit(request);
            return true;
        }
        admit(request, export.memory() == 0 ? request.wanted : 0);
        plan(request).begin(request.wanted, minimumBlock);
        if (worthAPlan(request)) {
            request.command = Command.EXTENTS;
            request.sink = request.plan;
            request.offset = request.start;
            request.length = request.wanted;
            submit(request);
        } else {
            outbox.add(request);
        }
        return true;
    }

    private boolean worthAPlan(IoRequest request) {
        return request.wanted >= LEAST_SPARSE_READ && export.can(Feature.QUICK_EXTENTS);
    }

    private static ReadPlan plan(IoRequest request) {
        if (request.plan == null) {
            request.plan = new ReadPlan();
        }
        return request.plan;
    }

    /** Prepares the next piece of a read, of at most that many bytes; false when there is no memory for it now. */
    private boolean readPiece(IoRequest request, long most) {
        Buffer buffer = take(most);
        if (buffer == null) {
            return false;
        }
        request.command = Command.READ;
        request.buffer = buffer;
        request.address = buffer.address();
        request.offset = request.start + request.finished;
        request.length = Math.min(most, Math.min(largestPiece, buffer.capacity()));
        return true;
    }

    /** What a read in chunks needs next: true when that is to be asked of the device, and is prepared. */
    private boolean readOn(IoRequest request) {
        if (export.memory() != 0 || request.plan.zeroAt(request.finished)) {
            outbox.add(request);
            return false;
        }
        if (readPiece(request, request.plan.run(request.finished))) {
            return true;
        }
        request.link = starved;
        starved = request;
        return false;
    }

    private void startWrite(IoRequest request) {
        export.changing(request.start, request.wanted);
        admit(request, export.memory() == 0 ? request.wanted : 0);
        request.command = Command.WRITE;
        request.fua = request.wantsFua && export.can(Feature.FUA);
        if (export.memory() != 0) {
            request.address = export.memory() + request.start;
            request.length = request.wanted;
        }
        reader.expect(request);
    }

    @Override
    public IoRequest nextPiece(IoRequest whole, long left) {
        if (export.memory() != 0) {
            return whole;
        }
        Buffer buffer = take(left);
        if (buffer == null) {
            return null;
        }
        long length = Math.min(left, Math.min(largestPiece, buffer.capacity()));
        IoRequest piece = whole;
        if (whole.wanted > length) {
            piece = loop.take(this);
            piece.type = Nbd.NBD_CMD_WRITE;
            piece.command = Command.WRITE;
            piece.fua = whole.fua;
            piece.whole = whole;
        }
        piece.buffer = buffer;
        piece.address = buffer.address();
        piece.offset = whole.start + whole.wanted - left;
        piece.length = length;
        return piece;
    }

    @Override
    public void pieceArrived(IoRequest piece) {
        IoRequest whole = piece.whole;
        whole.finished += piece.length;
        if (export.memory() != 0) {
            export.device().written(whole.start, whole.wanted);
            written(whole);
            return;
        }
        whole.pieces++;
        submit(piece);
    }

    private boolean mayFilter(long payload) {
        return (flags & Nbd.NBD_FLAG_BLOCK_STATUS_PAYLOAD) != 0 && StatusFilter.possible(payload);
    }

    /** The rest of the question is in the payload. */
    private boolean startFilteredStatus(IoRequest request, int commandFlags, int payload) {
        if (!takeStatusBuffers(request, contexts)) {
            return false;
        }
        admit(request, 0);
        request.commandFlags = commandFlags;
        reader.collect(request, payload);
        return true;
    }

    @Override
    public void collected(IoRequest request, MemorySegment payload) {
        inFlight--;
        request.wanted = StatusFilter.length(payload);
        int asked = StatusFilter.contexts(payload, payload.byteSize(), contexts);
        int error = asked == 0 ? Nbd.NBD_EINVAL : check(request, request.commandFlags);
        if (error != 0) {
            admit(request, 0);
            refuse(request, request.commandFlags, error, 0);
            if (asked == 0) {
                request.reason = "a metadata context is asked for twice, or was not negotiated";
            }
            return;
        }
        request.contexts = asked;
        startStatus(request, request.commandFlags);
    }

    /** Memory for the answers about each context; false when there is none now. */
    private boolean takeStatusBuffers(IoRequest request, int asked) {
        request.contexts = asked;
        if ((asked & MetaContext.ALLOCATION.id()) != 0) {
            request.buffer = take(STATUS_BYTES);
        }
        if ((asked & MetaContext.DIRTY.id()) != 0) {
            request.dirtyBuffer = take(STATUS_BYTES);
        }
        if ((asked & MetaContext.DEPTH.id()) != 0) {
            request.depthBuffer = take(STATUS_BYTES);
        }
        if ((asked & MetaContext.ALLOCATION.id()) != 0 && request.buffer == null
                || (asked & MetaContext.DIRTY.id()) != 0 && request.dirtyBuffer == null
                || (asked & MetaContext.DEPTH.id()) != 0 && request.depthBuffer == null) {
            loop.giveBack(request);
            return false;
        }
        return true;
    }

    private void startStatus(IoRequest request, int commandFlags) {
        admit(request, 0);
        int most = (commandFlags & Nbd.NBD_CMD_FLAG_REQ_ONE) != 0 ? 1 : Integer.MAX_VALUE;
        if ((request.contexts & MetaContext.DIRTY.id()) != 0) {
            if (request.dirtyWriter == null) {
                request.dirtyWriter = new ExtentWriter();
            }
            request.dirtyWriter.begin(request.dirtyBuffer.memory(), style.extended(), request.wanted, most);
            request.dirtyWriter.dirty(export.dirty(), request.start);
        }
        request.sink = extentSink(request, most);
        if (request.sink == null) {
            outbox.add(request);
            return;
        }
        request.command = Command.EXTENTS;
        request.offset = request.start;
        request.length = request.wanted;
        if (export.can(Feature.EXTENTS)) {
            submit(request);
        } else {
            request.sink.extent(request.wanted, false, false);
            outbox.add(request);
        }
    }

    /** What takes the storage's answer, for one context or two; null when neither was asked for. */
    private ExtentSink extentSink(IoRequest request, int most) {
        boolean allocation = (request.contexts & MetaContext.ALLOCATION.id()) != 0;
        boolean depth = (request.contexts & MetaContext.DEPTH.id()) != 0;
        if (allocation) {
            if (request.extentWriter == null) {
                request.extentWriter = new ExtentWriter();
            }
            request.extentWriter.begin(request.buffer.memory(), style.extended(), request.wanted, most);
        }
        if (depth) {
            if (request.depthWriter == null) {
                request.depthWriter = new ExtentWriter();
                request.layered = new LayeredExtents();
            }
            request.depthWriter.begin(request.depthBuffer.memory(), style.extended(), request.wanted, most);
            request.depthWriter.depth();
        }
        if (allocation && depth) {
            request.layered.begin(request.extentWriter, request.depthWriter);
            return request.layered;
        }
        return allocation ? request.extentWriter : depth ? request.depthWriter : null;
    }

    private void startOther(IoRequest request, int commandFlags) {
        admit(request, 0);
        request.offset = request.start;
        request.length = request.wanted;
        request.mayTrim = (commandFlags & Nbd.NBD_CMD_FLAG_NO_HOLE) == 0;
        request.fastZero = (commandFlags & Nbd.NBD_CMD_FLAG_FAST_ZERO) != 0;
        request.fua = request.wantsFua && export.can(Feature.FUA);
        request.command = switch (request.type) {
            case Nbd.NBD_CMD_FLUSH -> Command.FLUSH;
            case Nbd.NBD_CMD_TRIM -> Command.TRIM;
            case Nbd.NBD_CMD_CACHE -> Command.CACHE;
            default -> Command.WRITE_ZEROES;
        };
        if (request.fastZero && !(export.can(Feature.WRITE_ZEROES) && export.can(Feature.FAST_ZERO))) {
            request.errno = Errno.ENOTSUP;
            request.reason = "zeroing this storage is no faster than writing to it";
            outbox.add(request);
            return;
        }
        if (RequestValidator.writes(request.type)) {
            export.changing(request.start, request.wanted);
        }
        if (request.command == Command.WRITE_ZEROES && !export.can(Feature.WRITE_ZEROES)) {
            zeroPiece(request);
        }
        submit(request);
    }

    /** Storage that cannot zero by itself gets zeroes written, from memory that is all zeroes. */
    private void zeroPiece(IoRequest request) {
        request.command = Command.WRITE;
        request.address = ServerLoop.zeroes();
        request.offset = request.start + request.finished;
        long piece = Math.min(ServerLoop.ZEROES, largestPiece);
        request.length = Math.min(piece, request.wanted - request.finished);
    }

    // ---- the device ----------------------------------------------------------------------------------------------

    /** Gives a request to the device, again and again while it completes at once and has more to do. */
    private void submit(IoRequest request) {
        int rounds = 0;
        if (request.whole.submitted == 0) {
            request.whole.submitted = Math.max(loop.loop().turnBegan(), request.whole.arrived);
        }
        do {
            atDevice++;
            if (++rounds > MOST_ROUNDS) {
                // Others on this loop want to get on as well.
                loop.loop().execute(() -> submitAgain(request));
                return;
            }
        } while (request.submitTo(export) && advance(request));
    }

    private void submitAgain(IoRequest request) {
        atDevice--;
        if (dead) {
            drop(request);
            return;
        }
        submit(request);
        export.device().submitted();
        channel.touch();
    }

    /** The device is done with a request, later than in its submit. */
    void completed(IoRequest request) {
        if (advance(request)) {
            submit(request);
            export.device().submitted();
        }
        if (!dead) {
            channel.touch();
        }
    }

    /** Takes a request one step further; true when it has to go to the device again. */
    private boolean advance(IoRequest request) {
        atDevice--;
        if (dead) {
            drop(request);
            return false;
        }
        request.whole.completed = Math.max(loop.loop().turnBegan(), request.whole.submitted);
        return switch (request.type) {
            case Nbd.NBD_CMD_READ -> readDone(request);
            case Nbd.NBD_CMD_WRITE -> pieceWritten(request);
            case Nbd.NBD_CMD_WRITE_ZEROES -> zeroed(request);
            default -> flushOrFinish(request);
        };
    }

    private boolean readDone(IoRequest request) {
        if (request.command == Command.EXTENTS) {
            if (request.errno != 0) {
                // What cannot be told is read.
                request.errno = 0;
                request.plan.begin(request.wanted, minimumBlock);
            }
            return readOn(request);
        }
        if (request.errno != 0) {
            request.failedAt = request.offset;
        }
        if (request != streaming) {
            outbox.add(request);
            return false;
        }
        outbox.addFirst(request);
        if (request.errno != 0 && !style.chunked()) {
            // The header with success and length is out already: all that can still be said is goodbye.
            connection.protocolError("lost a read in the middle of its reply (" + Nbd.errorName(request.errno) + ")");
            channel.close();
            connection.closed(0);
        }
        return false;
    }

    private boolean pieceWritten(IoRequest piece) {
        IoRequest whole = piece.whole;
        if (piece.flushing) {
            outbox.add(piece);
            return false;
        }
        piece.releaseBuffer();
        if (piece.errno != 0 && whole.failedAt < 0) {
            whole.failedAt = piece.offset;
        }
        whole.pieces--;
        if (piece != whole) {
            if (whole.errno == 0) {
                whole.errno = piece.errno;
            }
            loop.giveBack(piece);
        }
        if (whole.pieces > 0 || whole.finished < whole.wanted) {
            return false;
        }
        if (piece == whole) {
            return flushOrFinish(whole);
        }
        written(whole);
        return false;
    }

    /** All of a write is in the device, or in the memory that is the device. */
    private void written(IoRequest whole) {
        if (flushOrFinish(whole)) {
            submit(whole);
        }
    }

    private boolean zeroed(IoRequest request) {
        if (request.command == Command.WRITE && request.errno != 0) {
            request.failedAt = request.offset;
        } else if (request.command == Command.WRITE) {
            request.finished += request.length;
            if (request.finished < request.wanted) {
                zeroPiece(request);
                return true;
            }
        }
        return flushOrFinish(request);
    }

    /** FUA for storage that only knows flush: true when that has to be done first. */
    private boolean flushOrFinish(IoRequest request) {
        if (request.errno == 0 && request.wantsFua && !request.fua && request.command != Command.FLUSH) {
            request.flushing = true;
            request.command = Command.FLUSH;
            request.offset = 0;
            request.length = 0;
            request.address = 0;
            return true;
        }
        outbox.add(request);
        return false;
    }

    /** Memory for a piece of at most {@code bytes}; null when there is none now, and then the connection is told later. */
    private Buffer take(long bytes) {
        Buffer buffer = pool.takeUpTo((int) Math.min(largestPiece, bytes), minimumBlock);
        if (buffer == null && !waitsForPool) {
            waitsForPool = true;
            pool.onRelease(() -> {
                waitsForPool = false;
                if (!dead) {
                    channel.touch();
                }
            });
        }
        return buffer;
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    @Override
    public void turnOver() {
        do {
            send();
            if (dead) {
                return;
            }
            if (streamNeedsMemory && !waitsForPool) {
                streamNeedsMemory = false;
                streamOn();
            }
            feedStarved();
            reader.proceed();
            export.device().submitted();
        } while (!channel.sending() && sendable());
        if (connection.stopping()) {
            quietIfIdle();
        }
        if (disconnecting && inFlight == 0 && !channel.sending()) {
            if (clientLeft || reader.unfinishedPiece() != null) {
                connection.disconnect();
            } else {
                dead = true;
                outbox.close();
                reader.close();
                connection.drain();
            }
        }
    }

    private boolean sendable() {
        return !dead && !outbox.isEmpty() && (streaming == null || outbox.peek() == streaming);
    }

    private void send() {
        while (!channel.sending() && sendable()) {
            outbox.begin();
            sendsAt = loop.loop().now();
            gather();
            if (!dead) {
                channel.send(outbox.pieces());
            }
        }
    }

    private void gather() {
        while (sendable() && outbox.hasRoom()) {
            IoRequest request = outbox.poll();
            boolean read = request.type == Nbd.NBD_CMD_READ && request.wanted > 0;
            if (read && !request.unbroken) {
                gatherChunks(request);
            } else if (request == streaming || read && request.errno == 0) {
                gatherUnbroken(request);
            } else {
                if (request.type == Nbd.NBD_CMD_BLOCK_STATUS && request.errno == 0) {
                    writer.status(request);
                } else {
                    writer.finished(request);
                }
                answered(request);
            }
        }
    }

    /** A read as one chunk, or as a simple reply: nothing comes between its pieces. */
    private void gatherUnbroken(IoRequest request) {
        if (request.errno != 0) {
            pad(request);
            return;
        }
        boolean wholeNow = request != streaming && request.length == request.wanted;
        if (request != streaming) {
            writer.wholeData(request, wholeNow);
        }
        sendPiece(request);
        if (request.finished < request.wanted) {
            streaming = request;
            streamOn();
            return;
        }
        streaming = null;
        if (!wholeNow && style.chunked()) {
            // The data was begun while it could still fail, so it could not be marked as the last chunk.
            writer.none(request);
        }
        answered(request);
    }

    /** The rest of a chunk that was promised and failed: "it MUST use padding bytes", and then the error. */
    private void pad(IoRequest request) {
        while (request.finished < request.wanted && outbox.hasRoom()) {
            long length = Math.min(ServerLoop.ZEROES, request.wanted - request.finished);
            outbox.payload(ServerLoop.zeroes(), length, null);
            request.finished += length;
        }
        if (request.finished < request.wanted || !outbox.hasRoom()) {
            outbox.addFirst(request);
            return;
        }
        streaming = null;
        writer.failed(request);
        answered(request);
    }

    /** As many chunks of a read as there are now and as fit. */
    private void gatherChunks(IoRequest request) {
        while (request.errno == 0 && outbox.hasRoom()) {
            long at = request.start + request.finished;
            long run = request.plan.run(request.finished);
            if (request.plan.zeroAt(request.finished)) {
                writer.hole(request, at, run, request.finished + run == request.wanted);
                request.finished += run;
            } else if (export.memory() != 0) {
                writer.data(request, at, run, request.finished + run == request.wanted);
                outbox.payload(export.memory() + at, run, null);
                request.finished += run;
            } else if (request.buffer != null) {
                writer.data(request, at, request.length, request.finished + request.length == request.wanted);
                sendPiece(request);
            } else {
                if (readOn(request)) {
                    submit(request);
                }
                return;
            }
            if (request.finished == request.wanted) {
                answered(request);
                return;
            }
        }
        if (request.errno != 0 && outbox.hasRoom()) {
            writer.failed(request);
            answered(request);
        } else {
            outbox.addFirst(request);
        }
    }

    private void sendPiece(IoRequest request) {
        outbox.payload(request.address, request.length, request.buffer);
        request.buffer = null;
        request.finished += request.length;
    }

    private void feedStarved() {
        IoRequest request = starved;
        starved = null;
        while (request != null) {
            IoRequest following = request.link;
            request.link = null;
            if (waitsForPool) {
                request.link = starved;
                starved = request;
            } else if (readOn(request)) {
                submit(request);
            }
            request = following;
        }
    }

    /** Fetches the next piece of the large read whose reply has begun. */
    private void streamOn() {
        if (readPiece(streaming, streaming.wanted - streaming.finished)) {
            submit(streaming);
        } else {
            streamNeedsMemory = true;
        }
    }

    private void answered(IoRequest request) {
        inFlight--;
        loop.loop().counters().request();
        long took = sendsAt - request.arrived;
        traffic.answered(request.type, request.wanted, request.errno != 0, took);
        traffic.stages(request, sendsAt);
        usage.answered(request.type, request.wanted, request.errno != 0);
        if (took >= SlowRequestEvent.LEAST_NANOS && SlowRequestEvent.wanted()) {
            SlowRequestEvent.tell(request, export.name(), connection.toString(), took);
        }
        bytesInFlight -= request.admitted;
        boolean lost = request.errno != 0 && export.device().lost();
        loop.giveBack(request);
        if (lost && !disconnecting) {
            connection.protocolError("uses an export whose storage is lost to this server");
            disconnect();
        }
    }

    @Override
    public void sent() {
        outbox.sent();
        traffic.sent(loop.loop().now() - sendsAt);
        channel.touch();
    }

    // ---- the server stops ----------------------------------------------------------------------------------------

    /** What was started is finished; whatever comes after it is refused, or left unread. */
    @Override
    public void stop() {
        channel.touch();
    }

    /** The stop is complete: the client gets its last answers for certain, and then the end. */
    void finish() {
        disconnect();
    }

    private void quietIfIdle() {
        if (toldQuiet || inFlight > 0 || channel.sending()) {
            return;
        }
        toldQuiet = true;
        if (style.chunked()) {
            loop.loop().after(FAREWELL, connection::quiet);
        } else {
            connection.quiet();
        }
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    @Override
    public void closed() {
        dead = true;
        outbox.close();
        while (!outbox.isEmpty()) {
            loop.giveBack(outbox.poll());
        }
        if (streaming != null && streamNeedsMemory) {
            loop.giveBack(streaming);
        }
        while (starved != null) {
            IoRequest request = starved;
            starved = request.link;
            loop.giveBack(request);
        }
        IoRequest piece = reader.unfinishedPiece();
        IoRequest whole = reader.unfinished();
        if (piece != null && piece != whole) {
            loop.giveBack(piece);
        }
        if (whole != null && export.memory() != 0 && whole.type == Nbd.NBD_CMD_WRITE && whole.errno == 0) {
            // Some of its data may be there.
            export.device().written(whole.start, whole.wanted);
        }
        if (whole != null && whole.pieces == 0) {
            loop.giveBack(whole);
        }
        reader.close();
        goneIfNothingLeft();
    }

    /** A device is done with a request whose client is gone. */
    private void drop(IoRequest request) {
        IoRequest whole = request.whole;
        if (request != whole) {
            loop.giveBack(request);
            if (--whole.pieces == 0) {
                loop.giveBack(whole);
            }
        } else {
            loop.giveBack(request);
        }
        goneIfNothingLeft();
    }

    private void goneIfNothingLeft() {
        if (atDevice == 0) {
            connection.gone();
        }
    }
}

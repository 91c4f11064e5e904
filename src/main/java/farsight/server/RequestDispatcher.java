package farsight.server;

import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request.Command;
import farsight.buffer.Buffer;
import farsight.loop.Channel;
import farsight.protocol.MetaContext;
import farsight.protocol.Nbd;
import farsight.protocol.ReplyStyle;
import farsight.protocol.RequestHeader;
import farsight.protocol.RequestValidator;
import farsight.protocol.StatusFilter;
import java.lang.foreign.MemorySegment;

/**
 * Takes the requests of one connection from its {@link RequestReader}: admits or refuses each, and starts what its command
 * asks for. {@link Transmission} brings the bytes. Loop thread only.
 */
final class RequestDispatcher implements RequestReader.Sink {
    /** Shorter reads are not looked at for holes: they hardly ever have any, and the look costs as much as the read. */
    private static final int LEAST_SPARSE_READ = 32 << 10;

    /** Longer writes take so long to copy that how they begin does not matter. */
    private static final int LONGEST_FORESEEN = 16 << 10;

    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Export export;
    private final ReplyStyle style;
    private final int contexts;
    private final int flags;
    private final int minimumBlock;
    private final InFlight inFlight;
    private final DeviceIo io;
    private final Outbox outbox;
    private final BlockStatus status;
    private final RequestReader reader;

    /** Where writes begin that will be started next. */
    private final long[] soon = new long[32];

    private int foreseen;

    /** When what is being looked at was received. */
    private long receivedAt;

    private int invalid;
    private boolean disconnecting;
    private boolean clientLeft;

    RequestDispatcher(
            Connection connection,
            Channel channel,
            ServerLoop loop,
            Export export,
            Terms terms,
            InFlight inFlight,
            DeviceIo io,
            Outbox outbox) {
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.export = export;
        this.inFlight = inFlight;
        this.io = io;
        this.outbox = outbox;
        style = terms.style();
        contexts = MetaContext.mask(terms.contexts());
        flags = export.transmissionFlags(terms)
                | (style.extended() ? RequestValidator.EXTENDED : 0)
                | (contexts != 0 ? RequestValidator.BLOCK_STATUS : 0);
        minimumBlock = export.device().blockSizes().minimum();
        status = new BlockStatus(export, style, io, outbox);
        reader = new RequestReader(channel, this, io.largestPiece(), style.requestSize(), export.memory() != 0);
        receivedAt = loop.loop().now();
    }

    // ---- receiving -----------------------------------------------------------------------------------------------

    void received(Buffer buffer, int from, int length) {
        receivedAt = loop.loop().now();
        reader.received(buffer, from, length);
    }

    void filled(boolean more) {
        receivedAt = loop.loop().now();
        reader.filled(more);
    }

    /** Tries again what had to wait. */
    void proceed() {
        reader.proceed();
    }

    /** When something was last received, by the loop's clock. */
    long receivedAt() {
        return receivedAt;
    }

    /** No more requests; the connection ends when those that were started are answered. */
    void disconnect() {
        disconnecting = true;
        reader.stop();
        channel.touch();
    }

    boolean isDisconnecting() {
        return disconnecting;
    }

    /** Whether the client reads nothing more, or is not to be waited for since it has not sent all of a write. */
    boolean isAbandoned() {
        return clientLeft || reader.unfinishedPiece() != null;
    }

    // ---- admission -----------------------------------------------------------------------------------------------

    @Override
    public boolean mayStart() {
        return !io.waitsForPool()
                // The kernel's client sends what was not answered again, elsewhere or later; an error it would hand on.
                && (style.chunked() || !connection.stopping())
                && inFlight.hasRoom();
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
        IoRequest request = loop.take(io);
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
            inFlight.admit(request, 0, receivedAt);
            refuse(request, commandFlags, error, payload);
            return true;
        }
        return dispatch(request, commandFlags);
    }

    @Override
    public long foresee(MemorySegment header, long at) {
        // Only hints come of it: whatever is not the usual case is left to start.
        int magic = style.extended() ? Nbd.NBD_EXTENDED_REQUEST_MAGIC : Nbd.NBD_REQUEST_MAGIC;
        if (foreseen == soon.length || RequestHeader.magic(header, at) != magic) {
            return -1;
        }
        int type = RequestHeader.type(header, at);
        if (type == Nbd.NBD_CMD_READ) {
            return style.requestSize();
        }
        long offset = RequestHeader.offset(header, at);
        long length = style.extended() ? RequestHeader.extendedLength(header, at) : RequestHeader.length(header, at);
        if (type != Nbd.NBD_CMD_WRITE
                || length < 1
                || length > LONGEST_FORESEEN
                || offset < 0
                || offset > export.size() - length) {
            return -1;
        }
        soon[foreseen++] = offset;
        return style.requestSize() + length;
    }

    @Override
    public void foreseen() {
        if (foreseen > 1) {
            export.device().announced(soon, foreseen);
        }
        foreseen = 0;
    }

    private int check(IoRequest request, int commandFlags) {
        return RequestValidator.check(
                request.type, commandFlags, request.start, request.wanted, flags, export.size(), minimumBlock);
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

    // ---- commands ------------------------------------------------------------------------------------------------

    /** False when there is no memory for the request now; it is given back then. */
    private boolean dispatch(IoRequest request, int commandFlags) {
        if (request.wanted == 0 && request.type != Nbd.NBD_CMD_FLUSH) {
            inFlight.admit(request, 0, receivedAt);
            outbox.add(request);
            return true;
        }
        switch (request.type) {
            case Nbd.NBD_CMD_READ -> {
                return startRead(request, (commandFlags & Nbd.NBD_CMD_FLAG_DF) != 0);
            }
            case Nbd.NBD_CMD_WRITE -> startWrite(request);
            case Nbd.NBD_CMD_BLOCK_STATUS -> {
                return startStatus(request, commandFlags);
            }
            default -> startOther(request, commandFlags);
        }
        return true;
    }

    private boolean startRead(IoRequest request, boolean dontFragment) {
        request.unbroken = dontFragment || !style.chunked();
        if (request.unbroken && export.memory() != 0) {
            inFlight.admit(request, 0, receivedAt);
            request.address = export.memory() + request.start;
            request.length = request.wanted;
            outbox.add(request);
            return true;
        }
        if (request.unbroken || export.memory() == 0 && !worthAPlan(request)) {
            if (!io.readPiece(request, request.wanted)) {
                loop.giveBack(request);
                return false;
            }
            inFlight.admit(request, request.wanted, receivedAt);
            io.plan(request);
            io.submit(request);
            return true;
        }
        inFlight.admit(request, export.memory() == 0 ? request.wanted : 0, receivedAt);
        io.plan(request);
        if (worthAPlan(request)) {
            request.command = Command.EXTENTS;
            request.sink = request.plan;
            request.offset = request.start;
            request.length = request.wanted;
            io.submit(request);
        } else {
            outbox.add(request);
        }
        return true;
    }

    private boolean worthAPlan(IoRequest request) {
        return request.wanted >= LEAST_SPARSE_READ && export.can(Feature.QUICK_EXTENTS);
    }

    private void startWrite(IoRequest request) {
        export.changing(request.start, request.wanted);
        inFlight.admit(request, export.memory() == 0 ? request.wanted : 0, receivedAt);
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
        return io.writePiece(whole, left);
    }

    @Override
    public void pieceArrived(IoRequest piece) {
        io.pieceArrived(piece);
    }

    private boolean startStatus(IoRequest request, int commandFlags) {
        if (!status.takeBuffers(request, contexts)) {
            loop.giveBack(request);
            return false;
        }
        inFlight.admit(request, 0, receivedAt);
        status.start(request, commandFlags);
        return true;
    }

    private boolean mayFilter(long payload) {
        return (flags & Nbd.NBD_FLAG_BLOCK_STATUS_PAYLOAD) != 0 && StatusFilter.possible(payload);
    }

    /** The rest of the question is in the payload. */
    private boolean startFilteredStatus(IoRequest request, int commandFlags, int payload) {
        if (!status.takeBuffers(request, contexts)) {
            loop.giveBack(request);
            return false;
        }
        inFlight.admit(request, 0, receivedAt);
        request.commandFlags = commandFlags;
        reader.collect(request, payload);
        return true;
    }

    @Override
    public void collected(IoRequest request, MemorySegment payload) {
        request.wanted = StatusFilter.length(payload);
        int asked = StatusFilter.contexts(payload, payload.byteSize(), contexts);
        int error = asked == 0 ? Nbd.NBD_EINVAL : check(request, request.commandFlags);
        if (error != 0) {
            refuse(request, request.commandFlags, error, 0);
            if (asked == 0) {
                request.reason = "a metadata context is asked for twice, or was not negotiated";
            }
            return;
        }
        request.contexts = asked;
        status.start(request, request.commandFlags);
    }

    private void startOther(IoRequest request, int commandFlags) {
        inFlight.admit(request, 0, receivedAt);
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
            io.zeroPiece(request);
        }
        io.submit(request);
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    /** Lets go of the request that was still being received. */
    void close() {
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
    }
}

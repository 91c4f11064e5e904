package farsight.server;

import farsight.backend.Feature;
import farsight.backend.Request.Command;
import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import farsight.loop.Channel;
import farsight.protocol.MetaContexts;
import farsight.protocol.Nbd;
import farsight.protocol.RequestHeader;
import farsight.protocol.RequestValidator;
import farsight.protocol.StructuredReply;
import java.lang.foreign.MemorySegment;

/**
 * The transmission phase of a connection (proto.md, "Transmission"). All complete requests of a
 * receive are started before anything is answered; all finished ones leave together at the end of the turn. Large
 * requests go through the device in pieces. Loop thread only.
 */
final class Transmission implements Phase, RequestReader.Sink {
    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Pool pool;
    private final Export export;
    private final boolean structured;
    private final int flags;
    private final int minimumBlock;
    private final int largestPiece;
    private final RequestReader reader;
    private final Outbox outbox;

    /** The large read whose reply has begun: nothing may come between its pieces. */
    private IoRequest streaming;

    private boolean streamNeedsMemory;
    private int inFlight;
    private int atDevice;
    private long bytesInFlight;
    private int invalid;
    private boolean waitsForPool;
    private boolean disconnecting;
    private boolean dead;

    /**
     * @param structured whether reads are answered in chunks
     * @param allocation whether "base:allocation" was negotiated
     */
    Transmission(
            Connection connection,
            Channel channel,
            ServerLoop loop,
            Export export,
            boolean structured,
            boolean allocation) {
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.export = export;
        pool = loop.loop().pool();
        this.structured = structured;
        flags = export.transmissionFlags()
                | (structured ? Nbd.NBD_FLAG_SEND_DF : 0)
                | (allocation ? RequestValidator.BLOCK_STATUS : 0);
        minimumBlock = export.device().blockSizes().minimum();
        largestPiece = Math.min(export.device().blockSizes().maximum(), Pool.LARGEST);
        reader = new RequestReader(channel, this, largestPiece);
        outbox = new Outbox();
    }

    // ---- receiving -----------------------------------------------------------------------------------------------

    @Override
    public void received(Buffer buffer, int from, int length) {
        reader.received(buffer, from, length);
        export.device().submitted();
        channel.touch();
    }

    @Override
    public void filled(boolean more) {
        reader.filled(more);
        export.device().submitted();
        channel.touch();
    }

    @Override
    public boolean mayStart() {
        return !waitsForPool
                && inFlight < connection.limits().maxRequests()
                && bytesInFlight < connection.limits().maxBytes();
    }

    @Override
    public boolean start(MemorySegment header, long at) {
        if (RequestHeader.magic(header, at) != Nbd.NBD_REQUEST_MAGIC) {
            connection.protocolError("sent something that is no request (wrong magic)");
            disconnect();
            return true;
        }
        int type = RequestHeader.type(header, at);
        if (type == Nbd.NBD_CMD_DISC) {
            disconnect();
            return true;
        }
        int commandFlags = RequestHeader.flags(header, at);
        IoRequest request = loop.take(this);
        request.type = type;
        request.cookie = RequestHeader.cookie(header, at);
        request.start = RequestHeader.offset(header, at);
        request.wanted = RequestHeader.length(header, at);
        request.wantsFua = (commandFlags & Nbd.NBD_CMD_FLAG_FUA) != 0;
        int error = RequestValidator.check(
                type, commandFlags, request.start, request.wanted, flags, export.size(), minimumBlock);
        if (error != 0) {
            admit(request, 0);
            refuse(request, error);
            return true;
        }
        if (request.wanted == 0 && type != Nbd.NBD_CMD_FLUSH) {
            admit(request, 0);
            outbox.add(request);
            return true;
        }
        switch (type) {
            case Nbd.NBD_CMD_READ -> {
                return startRead(request);
            }
            case Nbd.NBD_CMD_WRITE -> startWrite(request);
            case Nbd.NBD_CMD_BLOCK_STATUS -> {
                return startStatus(request, (commandFlags & Nbd.NBD_CMD_FLAG_REQ_ONE) != 0);
            }
            default -> startOther(request, commandFlags);
        }
        return true;
    }

    private void admit(IoRequest request, long bytes) {
        inFlight++;
        request.admitted = bytes;
        bytesInFlight += bytes;
    }

    private void refuse(IoRequest request, int error) {
        request.errno = error;
        connection.requestRefused(request, error);
        int allowed = connection.limits().maxErrors();
        if (++invalid > allowed) {
            connection.protocolError("sent more than max_errors = " + allowed + " invalid requests; the last was "
                    + Nbd.commandName(request.type) + " at " + Long.toUnsignedString(request.start) + " of "
                    + request.wanted + " bytes (" + Nbd.errorName(error) + ")");
            outbox.add(request);
            disconnect();
        } else if (request.type == Nbd.NBD_CMD_WRITE && request.wanted > 0) {
            reader.skip(request);
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

    private boolean startRead(IoRequest request) {
        if (export.memory() != 0) {
            admit(request, 0);
            request.address = export.memory() + request.start;
            request.length = request.wanted;
            outbox.add(request);
            return true;
        }
        if (!readPiece(request)) {
            loop.giveBack(request);
            return false;
        }
        admit(request, request.wanted);
        submit(request);
        return true;
    }

    /** Prepares the next piece of a read; false when there is no memory for it now. */
    private boolean readPiece(IoRequest request) {
        long left = request.wanted - request.finished;
        Buffer buffer = take(left);
        if (buffer == null) {
            return false;
        }
        request.command = Command.READ;
        request.buffer = buffer;
        request.address = buffer.address();
        request.offset = request.start + request.finished;
        request.length = Math.min(left, Math.min(largestPiece, buffer.capacity()));
        return true;
    }

    private void startWrite(IoRequest request) {
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
            written(whole);
            return;
        }
        whole.pieces++;
        submit(piece);
    }

    private boolean startStatus(IoRequest request, boolean one) {
        Buffer buffer = take(Pool.SMALLEST);
        if (buffer == null) {
            loop.giveBack(request);
            return false;
        }
        admit(request, 0);
        if (request.extentWriter == null) {
            request.extentWriter = new ExtentWriter();
        }
        request.command = Command.EXTENTS;
        request.buffer = buffer;
        request.address = buffer.address();
        request.offset = request.start;
        request.length = request.wanted;
        request.extentWriter.begin(buffer.memory(), request.wanted, one ? 1 : Integer.MAX_VALUE);
        if (export.can(Feature.EXTENTS)) {
            submit(request);
        } else {
            request.extentWriter.extent(request.wanted, false, false);
            outbox.add(request);
        }
        return true;
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
        do {
            atDevice++;
        } while (request.submitTo(export) && advance(request));
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
        return switch (request.type) {
            case Nbd.NBD_CMD_READ -> readDone(request);
            case Nbd.NBD_CMD_WRITE -> pieceWritten(request);
            case Nbd.NBD_CMD_WRITE_ZEROES -> zeroed(request);
            default -> flushOrFinish(request);
        };
    }

    private boolean readDone(IoRequest request) {
        if (request == streaming) {
            if (request.errno != 0) {
                // The header with success and length is out already: all that can still be said is goodbye.
                outbox.addFirst(request);
                connection.protocolError(
                        "lost a read in the middle of its reply (" + Nbd.errorName(request.errno) + ")");
                channel.close();
                connection.closed(0);
                return false;
            }
            outbox.addFirst(request);
        } else {
            outbox.add(request);
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
        if (request.command == Command.WRITE && request.errno == 0) {
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
            reader.proceed();
            export.device().submitted();
        } while (!channel.sending() && sendable());
        if (disconnecting && inFlight == 0 && !channel.sending()) {
            channel.close();
            connection.closed(0);
        }
    }

    private boolean sendable() {
        return !dead && !outbox.isEmpty() && (streaming == null || outbox.peek() == streaming);
    }

    private void send() {
        while (!channel.sending() && sendable()) {
            outbox.begin();
            gather();
            if (!dead) {
                channel.send(outbox.pieces());
            }
        }
    }

    private void gather() {
        while (sendable() && outbox.hasRoom()) {
            IoRequest request = outbox.poll();
            if (request != streaming) {
                header(request);
            }
            if (request.type == Nbd.NBD_CMD_BLOCK_STATUS && request.errno == 0) {
                outbox.payload(request.address, request.extentWriter.bytes(), request.buffer);
                request.buffer = null;
            }
            if (request.type == Nbd.NBD_CMD_READ && request.errno == 0 && request.wanted > 0) {
                outbox.payload(request.address, request.length, request.buffer);
                request.buffer = null;
                request.finished += request.length;
                if (request.finished < request.wanted) {
                    streaming = request;
                    streamOn();
                    continue;
                }
                streaming = null;
            }
            answered(request);
        }
    }

    /** Only reads and block status have to be structured (proto.md, "Structured reply"); the rest stays short. */
    private void header(IoRequest request) {
        boolean read = request.type == Nbd.NBD_CMD_READ;
        if (!structured || !read && request.type != Nbd.NBD_CMD_BLOCK_STATUS) {
            outbox.header(request.errno, request.cookie);
            return;
        }
        MemorySegment memory = outbox.headers();
        int at = outbox.headerAt();
        if (request.errno != 0) {
            StructuredReply.error(memory, at, Nbd.errorOf(request.errno), request.cookie);
            outbox.structured(StructuredReply.ERROR_SIZE);
        } else if (read && request.wanted == 0) {
            StructuredReply.none(memory, at, request.cookie);
            outbox.structured(StructuredReply.HEADER);
        } else if (read) {
            StructuredReply.data(memory, at, request.cookie, request.start, request.wanted);
            outbox.structured(StructuredReply.DATA_HEADER);
        } else {
            StructuredReply.status(
                    memory, at, request.cookie, MetaContexts.ALLOCATION_ID, request.extentWriter.bytes());
            outbox.structured(StructuredReply.STATUS_HEADER);
        }
    }

    /** Fetches the next piece of the large read whose reply has begun. */
    private void streamOn() {
        if (readPiece(streaming)) {
            submit(streaming);
        } else {
            streamNeedsMemory = true;
        }
    }

    private void answered(IoRequest request) {
        inFlight--;
        loop.loop().counters().request();
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
        channel.touch();
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
        IoRequest piece = reader.unfinishedPiece();
        IoRequest whole = reader.unfinished();
        if (piece != null && piece != whole) {
            loop.giveBack(piece);
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

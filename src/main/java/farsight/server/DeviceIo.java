package farsight.server;

import farsight.backend.Request.Command;
import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import farsight.loop.Channel;
import farsight.protocol.Nbd;
import farsight.protocol.ReplyStyle;

/**
 * What the requests of one connection do at their export's device, piece by piece when they are large, until they are
 * finished and in the {@link Outbox}. {@link RequestDispatcher} starts them, {@link ReplySender} asks for the next piece
 * of a read, {@link IoRequest} tells of completions. Loop thread only.
 */
final class DeviceIo {
    /** How often a request goes to a device that completes at once before others get their turn. */
    private static final int MOST_ROUNDS = 64;

    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Pool pool;
    private final Export export;
    private final ReplyStyle style;
    private final Outbox outbox;
    private final int minimumBlock;
    private final int largestPiece;

    /** Reads in chunks that need memory for their next piece. */
    private IoRequest starved;

    private int atDevice;
    private boolean waitsForPool;

    /** Whether the connection is over; what devices still have is dropped when it comes back. */
    private boolean closed;

    DeviceIo(Connection connection, Channel channel, ServerLoop loop, Export export, ReplyStyle style, Outbox outbox) {
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.export = export;
        this.style = style;
        this.outbox = outbox;
        pool = loop.loop().pool();
        minimumBlock = export.device().blockSizes().minimum();
        largestPiece = Math.min(export.device().blockSizes().maximum(), Pool.LARGEST);
    }

    /** The most that the device is asked for at once, in bytes. */
    int largestPiece() {
        return largestPiece;
    }

    /** Whether the device has requests. */
    boolean isBusy() {
        return atDevice > 0;
    }

    /** Whether memory was asked for in vain; the channel is touched when there is some again. */
    boolean waitsForPool() {
        return waitsForPool;
    }

    /** Memory for a piece of at most {@code bytes}; null when there is none now, and then the connection is told later. */
    Buffer take(long bytes) {
        Buffer buffer = pool.takeUpTo((int) Math.min(largestPiece, bytes), minimumBlock);
        if (buffer == null && !waitsForPool) {
            waitsForPool = true;
            pool.onRelease(() -> {
                waitsForPool = false;
                if (!closed) {
                    channel.touch();
                }
            });
        }
        return buffer;
    }

    // ---- pieces --------------------------------------------------------------------------------------------------

    /** A read starts, of nothing but data as far as is known. */
    void plan(IoRequest read) {
        if (read.plan == null) {
            read.plan = new ReadPlan();
        }
        read.plan.begin(read.wanted, minimumBlock);
    }

    /** Prepares the next piece of a read, of at most that many bytes; false when there is no memory for it now. */
    boolean readPiece(IoRequest read, long most) {
        Buffer buffer = take(most);
        if (buffer == null) {
            return false;
        }
        read.command = Command.READ;
        read.buffer = buffer;
        read.address = buffer.address();
        read.offset = read.start + read.finished;
        read.length = Math.min(most, Math.min(largestPiece, buffer.capacity()));
        return true;
    }

    /** What a read in chunks needs next: true when that is to be asked of the device, and is prepared. */
    boolean readOn(IoRequest read) {
        if (export.memory() != 0 || read.plan.zeroAt(read.finished)) {
            outbox.add(read);
            return false;
        }
        if (readPiece(read, read.plan.run(read.finished))) {
            return true;
        }
        read.link = starved;
        starved = read;
        return false;
    }

    /** Goes on with reads that lacked memory, as far as there is some. */
    void feedStarved() {
        IoRequest read = starved;
        starved = null;
        while (read != null) {
            IoRequest following = read.link;
            read.link = null;
            if (waitsForPool) {
                read.link = starved;
                starved = read;
            } else if (readOn(read)) {
                submit(read);
            }
            read = following;
        }
    }

    /** See {@link RequestReader.Sink#nextPiece}. */
    IoRequest writePiece(IoRequest whole, long left) {
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

    /** A piece of a write has all its payload. */
    void pieceArrived(IoRequest piece) {
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

    /** Storage that cannot zero by itself gets zeroes written, from memory that is all zeroes. */
    void zeroPiece(IoRequest request) {
        request.command = Command.WRITE;
        request.address = ServerLoop.zeroes();
        request.offset = request.start + request.finished;
        long piece = Math.min(ServerLoop.ZEROES, largestPiece);
        request.length = Math.min(piece, request.wanted - request.finished);
    }

    // ---- the device ----------------------------------------------------------------------------------------------

    /** Gives a request to the device, again and again while it completes at once and has more to do. */
    void submit(IoRequest request) {
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
        if (closed) {
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
        if (!closed) {
            channel.touch();
        }
    }

    /** Takes a request one step further; true when it has to go to the device again. */
    private boolean advance(IoRequest request) {
        atDevice--;
        if (closed) {
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
        if (!outbox.isStreaming(request)) {
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

    // ---- the end -------------------------------------------------------------------------------------------------

    boolean isClosed() {
        return closed;
    }

    /** From now on nothing goes to the device; {@link #goneIfIdle} is to be called when the rest has let go, too. */
    void close() {
        closed = true;
        while (starved != null) {
            IoRequest read = starved;
            starved = read.link;
            loop.giveBack(read);
        }
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
        goneIfIdle();
    }

    /** Tells a closed connection when no device has anything of it. */
    void goneIfIdle() {
        if (atDevice == 0) {
            connection.gone();
        }
    }
}

package farsight.server;

import farsight.buffer.Buffer;
import farsight.loop.Channel;
import farsight.protocol.RequestHeader;
import farsight.protocol.StatusFilter;
import farsight.sys.Native;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Cuts the bytes of a client into requests and their payload. Payload of a write that was received whole is used where it
 * lies; the rest is received straight to where it is used. What cannot be started now is held back, and nothing more is
 * received meanwhile. Loop thread only.
 */
final class RequestReader {
    /** Who starts the requests. */
    interface Sink {
        /** Whether one more request may be started now. */
        boolean mayStart();

        /**
         * Starts the request whose header lies in {@code header} at {@code at}; false when there is no memory for it now,
         * in which case it is tried again later. Payload follows through the reader's methods.
         */
        boolean start(MemorySegment header, long at);

        /**
         * A whole header that will be started later lies here: notes what is to be prepared for it, and says how many bytes
         * there are to the next header, or -1 to be told of no more.
         */
        long foresee(MemorySegment header, long at);

        /** All headers that were foreseen are about to be started. */
        void foreseen();

        /** Prepares the next piece of a write for its payload; null when there is no memory for it now. */
        IoRequest nextPiece(IoRequest whole, long left);

        /** A piece of a write has all its payload. */
        void pieceArrived(IoRequest piece);

        /** The payload of a refused request has been passed over. */
        void skipped(IoRequest request);

        /** The small payload of a request lies here; it is valid during the call. */
        void collected(IoRequest request, MemorySegment payload);
    }

    private final Channel channel;
    private final Sink sink;
    private final int largestPiece;
    private final boolean ahead;

    /** A header that came in parts. */
    private final Arena arena = Arena.ofConfined();

    private final MemorySegment partial = arena.allocate(RequestHeader.EXTENDED_SIZE, 8);
    private final int headerSize;
    private int partialLength;

    /** The request whose small payload comes next, and where that is gathered. */
    private IoRequest collecting;

    private final MemorySegment small = arena.allocate(StatusFilter.LARGEST, 8);
    private int smallWanted;
    private int smallLength;

    /** Received bytes that wait. */
    private Buffer backlog;

    private int backlogFrom;
    private int backlogEnd;

    /** The write whose payload comes next, and how much of it belongs to no piece yet. */
    private IoRequest incoming;

    private long incomingLeft;

    /** Its current piece, and how much of that has come. */
    private IoRequest piece;

    private long pieceFilled;

    /** The refused write whose payload comes next, and how much of it. */
    private IoRequest skipping;

    private long skipLeft;
    private boolean stopped;
    private boolean paused;

    /** @param ahead whether the sink is to be told of all headers that came together before it starts the first one */
    RequestReader(Channel channel, Sink sink, int largestPiece, int headerSize, boolean ahead) {
        this.ahead = ahead;
        this.headerSize = headerSize;
        this.channel = channel;
        this.sink = sink;
        this.largestPiece = largestPiece;
    }

    // ---- what the sink says of the request it is starting --------------------------------------------------------

    /** Its payload is to be received in pieces. */
    void expect(IoRequest write) {
        incoming = write;
        incomingLeft = write.wanted;
    }

    /** Its payload is to be thrown away. */
    void skip(IoRequest refused, long bytes) {
        skipping = refused;
        skipLeft = bytes;
    }

    /** Its payload, at most {@link StatusFilter#LARGEST} bytes, is to be handed over as a whole. */
    void collect(IoRequest request, int bytes) {
        collecting = request;
        smallWanted = bytes;
        smallLength = 0;
    }

    /** Nothing that follows is read. */
    void stop() {
        stopped = true;
        pause();
    }

    // ---- bytes ---------------------------------------------------------------------------------------------------

    void received(Buffer buffer, int from, int length) {
        if (ahead && partialLength == 0 && incoming == null && skipping == null && collecting == null) {
            lookAhead(buffer, from, from + length);
        }
        int rest = parse(buffer, from, from + length);
        if (rest < from + length && !stopped) {
            assert backlog == null;
            buffer.retain();
            backlog = buffer;
            backlogFrom = rest;
            backlogEnd = from + length;
            pause();
        }
    }

    private void lookAhead(Buffer buffer, int from, int end) {
        long at = from;
        long step = 0;
        while (step >= 0 && at + headerSize <= end) {
            step = sink.foresee(buffer.memory(), at);
            at += step;
        }
        sink.foreseen();
    }

    /** The channel has filled the current piece; what was received beyond it may follow in {@link #received}. */
    void filled(boolean more) {
        pieceFilled = piece.length;
        endPiece();
        if (incoming != null && !more && !divert()) {
            pause();
        }
    }

    /** Tries again what had to wait. */
    void proceed() {
        if (stopped || !paused) {
            return;
        }
        if (backlog != null) {
            Buffer buffer = backlog;
            backlogFrom = parse(buffer, backlogFrom, backlogEnd);
            if (backlogFrom < backlogEnd && !stopped) {
                return;
            }
            backlog = null;
            buffer.release();
        } else if (incoming != null && !divert()) {
            return;
        }
        if (!stopped && (incoming == null || piece != null)) {
            paused = false;
            channel.resume();
        }
    }

    private void pause() {
        if (!paused) {
            paused = true;
            channel.pause();
        }
    }

    /** Takes what it can and returns where it stopped; less than {@code end} means that the rest has to wait. */
    private int parse(Buffer buffer, int from, int end) {
        int at = from;
        while (at < end && !stopped) {
            int next;
            if (skipping != null) {
                next = at + pass(end - at);
            } else if (collecting != null) {
                next = at + gather(buffer, at, end - at);
            } else if (incoming != null) {
                next = payload(buffer, at, end);
            } else if (sink.mayStart()) {
                next = header(buffer, at, end);
            } else {
                return at;
            }
            if (next < 0) {
                return at;
            }
            at = next;
        }
        if (incoming != null && !stopped && !divert()) {
            pause();
        }
        return at;
    }

    private int pass(int available) {
        int passed = (int) Math.min(skipLeft, available);
        skipLeft -= passed;
        if (skipLeft == 0) {
            IoRequest request = skipping;
            skipping = null;
            sink.skipped(request);
        }
        return passed;
    }

    private int gather(Buffer buffer, int at, int available) {
        int taken = Math.min(smallWanted - smallLength, available);
        MemorySegment.copy(buffer.memory(), at, small, smallLength, taken);
        smallLength += taken;
        if (smallLength == smallWanted) {
            IoRequest request = collecting;
            collecting = null;
            sink.collected(request, small.asSlice(0, smallWanted));
        }
        return taken;
    }

    /** Returns what follows the header, or -1 when its request cannot be started now. */
    private int header(Buffer buffer, int at, int end) {
        if (partialLength == 0 && end - at >= headerSize) {
            if (!sink.start(buffer.memory(), at)) {
                return -1;
            }
            return useInPlace(buffer, at + headerSize, end);
        }
        int wanted = headerSize - partialLength;
        int copied = Math.min(wanted, end - at);
        MemorySegment.copy(buffer.memory(), at, partial, partialLength, copied);
        if (copied == wanted) {
            if (!sink.start(partial, 0)) {
                // The last part of the header stays in the buffer, to come here again.
                return -1;
            }
            partialLength = 0;
            return useInPlace(buffer, at + copied, end);
        }
        partialLength += copied;
        return at + copied;
    }

    /** A write whose payload is here, whole and small enough, is not copied: its request shares the buffer. */
    private int useInPlace(Buffer buffer, int at, int end) {
        IoRequest write = incoming;
        if (write == null || write.address != 0 || write.wanted > end - at || write.wanted > largestPiece) {
            return at;
        }
        buffer.retain();
        write.buffer = buffer;
        write.address = buffer.address() + at;
        write.offset = write.start;
        write.length = write.wanted;
        incoming = null;
        sink.pieceArrived(write);
        return at + (int) write.length;
    }

    /** Copies payload that came along with its header; -1 when there is no memory for it now. */
    private int payload(Buffer buffer, int at, int end) {
        if (piece == null && !nextPiece()) {
            return -1;
        }
        int part = (int) Math.min(piece.length - pieceFilled, end - at);
        Native.copy(buffer.memory(), at, piece.address + pieceFilled, part);
        pieceFilled += part;
        if (pieceFilled == piece.length) {
            endPiece();
        }
        return at + part;
    }

    private boolean nextPiece() {
        piece = sink.nextPiece(incoming, incomingLeft);
        pieceFilled = 0;
        return piece != null;
    }

    private void endPiece() {
        IoRequest arrived = piece;
        piece = null;
        incomingLeft -= arrived.length;
        if (incomingLeft == 0) {
            incoming = null;
        }
        sink.pieceArrived(arrived);
    }

    /** Lets the channel receive the rest of the current piece to where it belongs; false when there is no memory. */
    private boolean divert() {
        if (piece == null && !nextPiece()) {
            return false;
        }
        channel.fill(piece.address + pieceFilled, piece.length - pieceFilled);
        return true;
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    /** The request whose payload was being received, or passed over; null when there is none. */
    IoRequest unfinished() {
        if (incoming != null) {
            return incoming;
        }
        return skipping != null ? skipping : collecting;
    }

    /** The piece that was being received; null when there is none. */
    IoRequest unfinishedPiece() {
        return piece;
    }

    void close() {
        stopped = true;
        if (backlog != null) {
            backlog.release();
            backlog = null;
        }
        arena.close();
    }
}

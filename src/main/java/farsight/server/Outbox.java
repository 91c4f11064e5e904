package farsight.server;

import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import farsight.loop.Channel;
import farsight.protocol.ReplyChunk;
import farsight.sys.IoVec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The replies of one connection on their way out: finished requests in order, then one gathered send of as many as fit.
 * Payload is sent from where it lies; its buffer is let go when the send is over. Loop thread only.
 */
final class Outbox {
    /** Pieces of one send: a header and a payload for each of half as many replies. */
    private static final int PIECES = 512;

    /** What one reply needs at most: two chunks of a block status, each a header and descriptors. */
    private static final int PIECES_OF_REPLY = 4;

    /** Room for the headers of one send. */
    private static final int HEADERS = 16 << 10;

    /** Enough to keep a socket busy; more would only keep buffers longer. */
    private static final long ENOUGH_BYTES = 4 << 20;

    private IoRequest first;
    private IoRequest last;

    /** The large read whose reply has begun: nothing may come between its pieces. */
    private IoRequest streaming;

    private final Channel channel;
    private final Pool pool;
    private IoVec pieces;
    private Arena arena;
    private MemorySegment ownHeaders;

    /** For a send in place, after which headers may still be in use as well; null when the next one is not. */
    private Buffer headerBuffer;

    private MemorySegment headers;
    private int headersUsed;
    private Buffer[] leaving = new Buffer[16];

    /** Whether the one at that place is what is sent from; else its request was lent other memory. */
    private boolean[] sentFrom = new boolean[16];

    private int leavingCount;

    Outbox(Channel channel, Pool pool) {
        this.channel = channel;
        this.pool = pool;
    }

    boolean isEmpty() {
        return first == null;
    }

    /** Appends a finished request, or the next finished piece of a large read. */
    void add(IoRequest request) {
        request.link = null;
        if (first == null) {
            first = request;
        } else {
            last.link = request;
        }
        last = request;
    }

    /** Puts a request before all others: a large read, whose pieces nothing may come between. */
    void addFirst(IoRequest request) {
        request.link = first;
        first = request;
        if (last == null) {
            last = request;
        }
    }

    /** Whether the first of them may leave now: the next piece of the read that is streaming, if there is one. */
    boolean isReady() {
        return first != null && (streaming == null || first == streaming);
    }

    /** Nothing but this read, piece by piece, is sent until {@link #streamed}. */
    void stream(IoRequest read) {
        streaming = read;
    }

    void streamed() {
        streaming = null;
    }

    boolean isStreaming(IoRequest request) {
        return request == streaming;
    }

    IoRequest poll() {
        IoRequest request = first;
        first = request.link;
        if (first == null) {
            last = null;
        }
        request.link = null;
        return request;
    }

    /** Starts a vector. */
    void begin() {
        if (pieces == null) {
            pieces = new IoVec(PIECES);
            arena = Arena.ofConfined();
            ownHeaders = arena.allocate(HEADERS, 64);
        }
        assert pieces.isEmpty() && leavingCount == 0;
        headersUsed = 0;
        headerBuffer = channel.wantsInPlace() ? pool.take(HEADERS) : null;
        if (headerBuffer != null && headerBuffer.capacity() > HEADERS) {
            headerBuffer.release(); // the pool has hardly any left
            headerBuffer = null;
        }
        headers = headerBuffer == null ? ownHeaders : headerBuffer.memory();
    }

    /** Sends what was collected since {@link #begin}. */
    void send() {
        if (headerBuffer == null) {
            channel.send(pieces);
        } else {
            channel.sendInPlace(pieces);
        }
    }

    /** Whether one more reply, or chunk, is certain to fit. */
    boolean hasRoom() {
        return pieces.room() >= PIECES_OF_REPLY
                && headersUsed + 2 * ReplyChunk.LARGEST <= HEADERS
                && pieces.bytes() < ENOUGH_BYTES;
    }

    /** Adds a header that was written at {@link #headerAt}. Those without payload lie side by side and leave as one piece. */
    void header(int size) {
        pieces.add(headers.address() + headersUsed, size);
        headersUsed += size;
    }

    /** Where headers are written. */
    MemorySegment headers() {
        return headers;
    }

    /** The offset in {@link #headers} of the next header. */
    int headerAt() {
        return headersUsed;
    }

    /** Adds payload; its buffer, if it has one, now belongs to the outbox. */
    void payload(long address, long length, Buffer buffer) {
        pieces.add(address, length);
        if (buffer != null) {
            if (leavingCount == leaving.length) {
                leaving = Arrays.copyOf(leaving, leavingCount * 2);
                sentFrom = Arrays.copyOf(sentFrom, leavingCount * 2);
            }
            sentFrom[leavingCount] = Long.compareUnsigned(address - buffer.address(), buffer.capacity()) < 0;
            leaving[leavingCount++] = buffer;
        }
    }

    /** The send is over, or will never be: lets go of what it needed. */
    void sent() {
        boolean inPlace = headerBuffer != null;
        if (inPlace) {
            channel.release(headerBuffer);
            headerBuffer = null;
        }
        for (int i = 0; i < leavingCount; i++) {
            if (inPlace && sentFrom[i]) {
                channel.release(leaving[i]);
            } else {
                leaving[i].release();
            }
            leaving[i] = null;
        }
        leavingCount = 0;
        if (pieces != null) {
            pieces.clear();
        }
    }

    void close() {
        sent();
        if (pieces != null) {
            pieces.close();
            arena.close();
            pieces = null;
        }
    }
}

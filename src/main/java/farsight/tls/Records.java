package farsight.tls;

import farsight.buffer.Buffer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import javax.net.ssl.SSLException;

/** Received bytes, cut into the records of TLS (RFC 8446, section 5.1). Loop thread only. */
final class Records {
    /** What one record carries at most. */
    static final int PLAIN = 16 << 10;

    private static final int HEADER = 5;

    /** A record with the most that its protection may add (RFC 5246, section 6.2.3). */
    static final int LONGEST = HEADER + PLAIN + 2048;

    private static final int FIRST_TYPE = 20;
    private static final int LAST_TYPE = 23;

    /** A part of a buffer that is not decrypted yet. */
    private static final class Held {
        final Buffer buffer;
        final ByteBuffer bytes;
        int at;
        final int end;

        Held(Buffer buffer, int at, int end) {
            this.buffer = buffer;
            bytes = buffer.memory().asByteBuffer();
            this.at = at;
            this.end = end;
        }
    }

    private final ArrayDeque<Held> held = new ArrayDeque<>();

    /** The beginning of a record whose rest is in another receive. */
    private final MemorySegment partial;

    private final ByteBuffer partialBytes;
    private int partialLength;

    /** @param partial memory of {@link #LONGEST} bytes */
    Records(MemorySegment partial) {
        this.partial = partial;
        partialBytes = partial.asByteBuffer();
    }

    void hold(Buffer buffer, int from, int length) {
        buffer.retain();
        held.add(new Held(buffer, from, from + length));
    }

    /** Whether nothing waits but the beginning of a record. */
    boolean isEmpty() {
        return held.isEmpty();
    }

    /** Whether {@link #record} has one. What cannot be complete is put aside, so that buffers are let go. */
    boolean complete() throws SSLException {
        while (partialLength < HEADER || partialLength < lengthOf(partial, 0)) {
            Held first = held.peek();
            if (first == null) {
                return false;
            }
            int available = first.end - first.at;
            if (partialLength == 0 && available >= HEADER && available >= lengthOf(first.buffer.memory(), first.at)) {
                return true;
            }
            int wanted = partialLength >= HEADER
                    ? lengthOf(partial, 0)
                    : partialLength == 0 && available >= HEADER ? available : HEADER;
            int step = Math.min(available, wanted - partialLength);
            MemorySegment.copy(first.buffer.memory(), first.at, partial, partialLength, step);
            partialLength += step;
            used(first, step);
        }
        return true;
    }

    private static int lengthOf(MemorySegment memory, int at) throws SSLException {
        int type = memory.get(ValueLayout.JAVA_BYTE, at);
        int length = (memory.get(ValueLayout.JAVA_BYTE, at + 3) & 0xff) << 8
                | memory.get(ValueLayout.JAVA_BYTE, at + 4) & 0xff;
        if (type < FIRST_TYPE || type > LAST_TYPE) {
            throw new SSLException("the peer sent something that is no TLS");
        }
        if (HEADER + length > LONGEST) {
            throw new SSLException("a record of " + length + " bytes");
        }
        return HEADER + length;
    }

    /** The next record; {@link #complete} has said that there is one. */
    ByteBuffer record() throws SSLException {
        if (partialLength > 0) {
            return partialBytes.clear().limit(partialLength);
        }
        Held first = held.peek();
        return first.bytes.clear().position(first.at).limit(first.at + lengthOf(first.buffer.memory(), first.at));
    }

    /** The record, all of it, is used. */
    void advance(int bytes) throws SSLException {
        if (partialLength > 0) {
            if (bytes != partialLength) {
                throw new SSLException("half a record is used");
            }
            partialLength = 0;
        } else {
            used(held.peek(), bytes);
        }
    }

    private void used(Held first, int bytes) {
        first.at += bytes;
        if (first.at == first.end) {
            held.remove();
            first.buffer.release();
        }
    }

    /** Lets go of everything. */
    void close() {
        held.forEach(each -> each.buffer.release());
        held.clear();
        partialLength = 0;
    }
}

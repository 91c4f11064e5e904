package farsight.server;

import farsight.buffer.Buffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What a client has said in its handshake and was not answered yet, in bounded memory: some options at most, and one
 * buffer that has no room among them. Loop thread only.
 */
final class HandshakeInput {
    /** The longest option that is read; longer ones are passed over and refused (NBD_REP_ERR_TOO_BIG). */
    static final int MAX_OPTION = 32 << 10;

    private static final int ROOM = 2 * MAX_OPTION;

    /** Bytes that are not handled yet: from {@link #at} to {@link #end}. Null while there are none. */
    private MemorySegment room;

    private Arena arena;
    private int at;
    private int end;

    /** Payload of an option that is too long, still to be passed over. */
    private long skip;

    /** What was received and has no room there; nothing more is received meanwhile. */
    private Buffer held;

    private int heldFrom;
    private int heldEnd;

    /** Takes some of what was received, and returns how much of it. */
    interface Consumer {
        int consume(Buffer buffer, int from, int length);
    }

    /** Takes what there is room for, and returns how much that is. */
    int take(Buffer buffer, int from, int length) {
        int passed = (int) Math.min(skip, length);
        skip -= passed;
        return passed + append(buffer, from + passed, length - passed);
    }

    private int append(Buffer buffer, int from, int length) {
        if (length == 0) {
            return 0;
        }
        if (room == null) {
            // Not from the pool: a handshake gets on, and ends, whatever transmissions have taken of that.
            arena = Arena.ofConfined();
            room = arena.allocate(ROOM);
            at = 0;
            end = 0;
        }
        if (end + length > ROOM) {
            MemorySegment.copy(room, at, room, 0, end - at);
            end -= at;
            at = 0;
        }
        int fits = Math.min(length, ROOM - end);
        MemorySegment.copy(buffer.memory(), from, room, end, fits);
        end += fits;
        return fits;
    }

    int available() {
        return end - at;
    }

    /** The next bytes, which are there; they stay. */
    MemorySegment peek(int bytes) {
        return room.asSlice(at, bytes);
    }

    /** The next bytes, which are there; good until more is taken. */
    MemorySegment next(int bytes) {
        MemorySegment next = peek(bytes);
        at += bytes;
        return next;
    }

    /** Passes over the next bytes, whether they are there or still come. */
    void skip(long bytes) {
        int here = (int) Math.min(bytes, available());
        at += here;
        skip = bytes - here;
    }

    /** Keeps what has no room. */
    void hold(Buffer buffer, int from, int to) {
        buffer.retain();
        held = buffer;
        heldFrom = from;
        heldEnd = to;
    }

    boolean isHolding() {
        return held != null;
    }

    /** Passes on what is held, as far as it is taken; with the last of it nothing is held any more. */
    void passHeld(Consumer consumer) {
        heldFrom += consumer.consume(held, heldFrom, heldEnd - heldFrom);
        if (heldFrom == heldEnd) {
            release();
        }
    }

    /** Bytes that are not handled, with what is held. */
    int left() {
        return available() + (held == null ? 0 : heldEnd - heldFrom);
    }

    /** All that is {@link #left}. */
    void copyTo(MemorySegment target) {
        if (room != null) {
            MemorySegment.copy(room, at, target, 0, available());
        }
        if (held != null) {
            MemorySegment.copy(held.memory(), heldFrom, target, available(), heldEnd - heldFrom);
        }
    }

    /** Gives the memory back; more may be taken later. */
    void free() {
        if (room != null) {
            arena.close();
            room = null;
            at = 0;
            end = 0;
        }
    }

    private void release() {
        if (held != null) {
            held.release();
            held = null;
        }
    }

    /** Nothing counts any more. */
    void close() {
        free();
        release();
    }
}

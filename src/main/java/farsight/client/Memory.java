package farsight.client;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * Memory outside the heap: its address is for native calls, the buffer for channels and for numbers in network byte
 * order. Those of a segment are reached by method handles, which take as long to be made as a client takes to connect.
 */
record Memory(long address, ByteBuffer bytes) {
    /** Lives as long as the arena. */
    static Memory allocate(Arena arena, int size) {
        MemorySegment segment = arena.allocate(size, Long.BYTES);
        return new Memory(segment.address(), segment.asByteBuffer());
    }

    /** Lives until nobody refers to its buffer. */
    static Memory collected(int size) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(size);
        return new Memory(MemorySegment.ofBuffer(bytes).address(), bytes);
    }

    /** A part of it as a buffer, until the next call. */
    ByteBuffer part(int at, int length) {
        return bytes.clear().position(at).limit(at + length);
    }
}

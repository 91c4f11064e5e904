package farsight.server;

import farsight.buffer.Buffer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A connection on its way from the loop that it shook hands on to another one, where it counts already, with what its
 * client sent ahead. That is on the heap, since buffers belong to one loop; it is at most what one handshake and one
 * receive hold, and few clients send anything before they are answered.
 */
final class Move implements Phase {
    private final Connection connection;
    private final Terms terms;
    private final ServerLoop target;
    private byte[] carried = new byte[0];

    Move(Connection connection, Terms terms, ServerLoop target) {
        this.connection = connection;
        this.terms = terms;
        this.target = target;
        target.loads(1);
    }

    /** Where it goes. */
    ServerLoop target() {
        return target;
    }

    /** What was negotiated. */
    Terms terms() {
        return terms;
    }

    /** How many bytes it carries. */
    int length() {
        return carried.length;
    }

    /** Writes them to the beginning of a buffer. */
    void unload(Buffer target) {
        MemorySegment.copy(carried, 0, target.memory(), ValueLayout.JAVA_BYTE, 0, carried.length);
    }

    @Override
    public void received(Buffer buffer, int from, int length) {
        int before = carried.length;
        carried = Arrays.copyOf(carried, before + length);
        MemorySegment.copy(buffer.memory(), ValueLayout.JAVA_BYTE, from, carried, before, length);
    }

    @Override
    public void filled(boolean more) {
        throw new AssertionError("nothing is diverted between two loops");
    }

    @Override
    public void sent() {}

    @Override
    public void turnOver() {}

    @Override
    public void stop() {
        connection.quiet();
    }

    /** Before it has left. */
    @Override
    public void closed() {
        target.loads(-1);
        connection.gone();
    }
}

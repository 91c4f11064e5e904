package farsight.client;

import farsight.protocol.Nbd;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** A request on its way, and what is known of its answer so far. */
abstract class ClientRequest {
    final int type;
    final int flags;
    final long offset;
    final long length;

    /** For a write its payload, for a read its target; null when a read's data goes to {@link #data}. */
    final MemorySegment memory;

    long cookie;
    int error;
    long errorOffset = -1;
    String errorText = "";
    IOException failure;
    Coverage coverage;
    int contentChunks;
    int otherChunks;
    List<Status> statuses;

    /** What one context says. */
    record Status(int context, List<Extent> extents) {}

    ClientRequest(int type, int flags, long offset, long length, MemorySegment memory) {
        this.type = type;
        this.flags = flags;
        this.offset = offset;
        this.length = length;
        this.memory = memory;
    }

    /** What the header says: of a request with a payload, its bytes. */
    long wireLength() {
        return length;
    }

    /** Whether the answer may tell of that context. */
    boolean asksFor(int context) {
        return true;
    }

    /** Sends the header, and what follows it. */
    void send(ClientSocket socket, Memory header, int headerLength) throws NbdException {
        if (type != Nbd.NBD_CMD_WRITE) {
            socket.send(header, 0, headerLength);
        } else {
            socket.send(header.address(), headerLength, memory.address(), memory.byteSize());
        }
    }

    /**
     * A piece of a read without a target, at the front of some memory.
     *
     * @return memory for the next piece: the same, or other of that size when this one is still needed
     */
    Memory data(Memory memory, int bytes, long at) throws IOException {
        throw new AssertionError("nobody takes the data");
    }

    /** What the data of a read without a target may come through; null for memory. */
    SocketPipe pipe() {
        return null;
    }

    /** A piece of a read without a target that was put into {@link #pipe}. */
    void pipedData(long bytes, long at) throws IOException {
        throw new AssertionError("nobody takes the data");
    }

    /** A part of a read without a target that is zeroes. */
    void zeroes(long at, long bytes) throws IOException {
        throw new AssertionError("nobody takes the data");
    }

    void status(int context, List<Extent> extents) {
        if (statuses == null) {
            statuses = new ArrayList<>(1);
        }
        statuses.add(new Status(context, extents));
    }

    boolean hasStatus(int context) {
        if (statuses != null) {
            for (Status status : statuses) {
                if (status.context() == context) {
                    return true;
                }
            }
        }
        return false;
    }

    /** The answer is complete. Called once, on the thread that receives, or on the one that could not send. */
    abstract void done(IOException failureOrNull);
}

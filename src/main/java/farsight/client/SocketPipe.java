package farsight.client;

import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.QuickCalls;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Takes data from a socket to a file within the kernel (splice(2)): what a file is given is what the socket received, and
 * nothing of it is copied in between. Empty between calls of {@link FileSide#write}. One thread; closed by any, when no
 * call is under way.
 */
final class SocketPipe implements AutoCloseable {
    /** As much as a user may ask for; a smaller one does, too. */
    private static final int SIZE = 1 << 20;

    private final CallState state = CallState.forever();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment ends = arena.allocate(ValueLayout.JAVA_INT, 2);
    private final MemorySegment position = arena.allocate(ValueLayout.JAVA_LONG);
    private boolean usable;

    /** One that may turn out not to be {@link #usable}: then data has to go another way. */
    SocketPipe() {
        usable = QuickCalls.pipe(state, ends, SIZE) >= 0;
    }

    /** Whether data may go through it. */
    boolean usable() {
        return usable;
    }

    /** Nothing more goes into it; what is in it still has to be taken out. */
    void giveUp() {
        usable = false;
    }

    /** From a socket. Bytes, 0 at its end, or {@code -errno}. */
    long receive(int socket, long length) {
        return QuickCalls.splice(state, socket, end(1), length);
    }

    /** To a file. Bytes, or {@code -errno}; -EINVAL for a file that cannot take it. */
    long write(int file, long length, long offset) {
        position.set(ValueLayout.JAVA_LONG, 0, offset);
        return QuickCalls.splice(state, end(0), file, position, length);
    }

    /** To memory, all of that many bytes that are in it. */
    void read(MemorySegment target) throws IOException {
        for (long done = 0; done < target.byteSize(); ) {
            long n = QuickCalls.read(state, end(0), target.address() + done, target.byteSize() - done);
            if (n > 0) {
                done += n;
            } else if (n != -QuickCalls.EINTR) {
                throw new ErrnoException("read", (int) -n);
            }
        }
    }

    /** Takes that many bytes that are in it to nowhere. */
    void discard(long length) throws IOException {
        MemorySegment memory = QuickCalls.map(Math.min(length, SIZE));
        try {
            for (long left = length; left > 0; left -= memory.byteSize()) {
                read(left < memory.byteSize() ? memory.asSlice(0, left) : memory);
            }
        } finally {
            QuickCalls.unmap(memory);
        }
    }

    private int end(int which) {
        return ends.getAtIndex(ValueLayout.JAVA_INT, which);
    }

    @Override
    public void close() {
        if (end(1) != 0) {
            QuickCalls.close(end(0));
            QuickCalls.close(end(1));
        }
        arena.close();
    }
}

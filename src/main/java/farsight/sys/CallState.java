package farsight.sys;

import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Where errno of a call is kept until it is read. One per thread that makes calls; not for use by two at once. */
public final class CallState implements AutoCloseable {
    private final Arena arena;
    final MemorySegment segment;

    private CallState(Arena arena) {
        this.arena = arena;
        segment = arena.allocate(Linker.Option.captureStateLayout());
    }

    /** For the current thread, until closed. */
    public static CallState open() {
        return new CallState(Arena.ofConfined());
    }

    /** Never freed: for threads that live as long as the process, and for objects that move between threads. */
    public static CallState forever() {
        return new CallState(Arena.global());
    }

    /** The error number of the last failed call. */
    int errno() {
        return segment.get(ValueLayout.JAVA_INT, 0);
    }

    /** {@code result}, or {@code -errno} when it is negative. */
    long check(long result) {
        return result < 0 ? -errno() : result;
    }

    int check(int result) {
        return result < 0 ? -errno() : result;
    }

    @Override
    public void close() {
        arena.close();
    }
}

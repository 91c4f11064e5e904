package farsight.sys;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Collections;

/**
 * A function of libc. Every argument and the result travel as a 64-bit word, whatever the function's own types are: the
 * calling conventions of Linux's 64-bit machines carry an int in the low half of one, callers cast an int's result back,
 * and a function, variadic or not, does not look at words beyond its arguments. So all calls share one linked stub: to
 * link each, or even each number of arguments, by itself took most of the start.
 *
 * @param function its address; a record's fields are trusted to be constant by the compiler
 * @param arguments how many it has
 */
record Call(String name, MemorySegment function, int arguments) {
    /** What io_uring_enter(2) takes, through syscall(2); no function that is called takes more. */
    private static final int MOST = 7;

    @SuppressWarnings("restricted")
    private static final MethodHandle WORDS = Linker.nativeLinker()
            .downcallHandle(
                    FunctionDescriptor.of(
                            ValueLayout.JAVA_LONG,
                            Collections.nCopies(MOST, ValueLayout.JAVA_LONG).toArray(MemoryLayout[]::new)),
                    Linker.Option.captureCallState("errno"));

    // No method in common, and the launcher has these compiled each by itself: the linker's code makes an object for
    // each
    // call that the compiler cannot follow to its end, which it gives up in deep stacks.

    long invoke(CallState state) {
        assert arguments == 0;
        try {
            return (long) WORDS.invokeExact(function, state.segment, 0L, 0L, 0L, 0L, 0L, 0L, 0L);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a) {
        assert arguments == 1;
        try {
            return (long) WORDS.invokeExact(function, state.segment, a, 0L, 0L, 0L, 0L, 0L, 0L);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b) {
        assert arguments == 2;
        try {
            return (long) WORDS.invokeExact(function, state.segment, a, b, 0L, 0L, 0L, 0L, 0L);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c) {
        assert arguments == 3;
        try {
            return (long) WORDS.invokeExact(function, state.segment, a, b, c, 0L, 0L, 0L, 0L);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c, long d) {
        assert arguments == 4;
        try {
            return (long) WORDS.invokeExact(function, state.segment, a, b, c, d, 0L, 0L, 0L);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c, long d, long e) {
        assert arguments == 5;
        try {
            return (long) WORDS.invokeExact(function, state.segment, a, b, c, d, e, 0L, 0L);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c, long d, long e, long f) {
        assert arguments == 6;
        try {
            return (long) WORDS.invokeExact(function, state.segment, a, b, c, d, e, f, 0L);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c, long d, long e, long f, long g) {
        assert arguments == MOST;
        try {
            return (long) WORDS.invokeExact(function, state.segment, a, b, c, d, e, f, g);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }
}

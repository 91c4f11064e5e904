package farsight.sys;

import java.lang.invoke.MethodHandle;

/**
 * A function of libc. Every argument and the result travel as a 64-bit word, whatever the function's own types are: the
 * calling conventions of Linux's 64-bit machines carry an int in the low half of one, and callers cast an int's result
 * back. So calls with the same number of arguments share one linked stub: to link each with its own types took most of
 * the start. A record, because the compiler trusts its fields to be constant.
 */
record Call(String name, MethodHandle handle) {

    long invoke(CallState state) {
        try {
            return (long) handle.invokeExact(state.segment);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a) {
        try {
            return (long) handle.invokeExact(state.segment, a);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b) {
        try {
            return (long) handle.invokeExact(state.segment, a, b);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c) {
        try {
            return (long) handle.invokeExact(state.segment, a, b, c);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c, long d) {
        try {
            return (long) handle.invokeExact(state.segment, a, b, c, d);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c, long d, long e) {
        try {
            return (long) handle.invokeExact(state.segment, a, b, c, d, e);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c, long d, long e, long f) {
        try {
            return (long) handle.invokeExact(state.segment, a, b, c, d, e, f);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }

    long invoke(CallState state, long a, long b, long c, long d, long e, long f, long g) {
        try {
            return (long) handle.invokeExact(state.segment, a, b, c, d, e, f, g);
        } catch (Throwable thrown) {
            throw Native.impossible(thrown);
        }
    }
}

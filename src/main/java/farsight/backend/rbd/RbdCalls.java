package farsight.backend.rbd;

import farsight.bindings.rbd.Rbd;
import farsight.sys.Native;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * The calls of librbd that requests make, with addresses and handles as longs: nothing is allocated. Negative results
 * are error numbers. Only to be touched after {@link RbdLibrary#require}.
 */
final class RbdCalls {
    /** Zeroes that stay allocated. */
    static final int THICK = Rbd.RBD_WRITE_ZEROES_FLAG_THICK_PROVISION();

    private static final int WILL_NEED = Rbd.LIBRADOS_OP_FLAG_FADVISE_WILLNEED();

    private static final MethodHandle CREATE_COMPLETION =
            link(Rbd.rbd_aio_create_completion$address(), Rbd.rbd_aio_create_completion$descriptor());
    private static final MethodHandle RELEASE = link(Rbd.rbd_aio_release$address(), Rbd.rbd_aio_release$descriptor());
    private static final MethodHandle RETURN_VALUE =
            link(Rbd.rbd_aio_get_return_value$address(), Rbd.rbd_aio_get_return_value$descriptor());
    private static final MethodHandle ARGUMENT = link(Rbd.rbd_aio_get_arg$address(), Rbd.rbd_aio_get_arg$descriptor());
    private static final MethodHandle READ = link(Rbd.rbd_aio_read$address(), Rbd.rbd_aio_read$descriptor());
    private static final MethodHandle READ2 = link(Rbd.rbd_aio_read2$address(), Rbd.rbd_aio_read2$descriptor());
    private static final MethodHandle WRITE = link(Rbd.rbd_aio_write$address(), Rbd.rbd_aio_write$descriptor());
    private static final MethodHandle DISCARD = link(Rbd.rbd_aio_discard$address(), Rbd.rbd_aio_discard$descriptor());
    private static final MethodHandle WRITE_ZEROES =
            link(Rbd.rbd_aio_write_zeroes$address(), Rbd.rbd_aio_write_zeroes$descriptor());
    private static final MethodHandle FLUSH = link(Rbd.rbd_aio_flush$address(), Rbd.rbd_aio_flush$descriptor());
    private static final MethodHandle POLL =
            link(Rbd.rbd_poll_io_events$address(), Rbd.rbd_poll_io_events$descriptor());

    private RbdCalls() {}

    private static MethodHandle link(MemorySegment symbol, FunctionDescriptor descriptor) {
        return Native.link(symbol, descriptor);
    }

    private static AssertionError impossible(Throwable e) {
        return new AssertionError("a call of librbd failed to link or run", e);
    }

    /** Makes a completion without a callback and writes its handle to {@code out}. */
    static int createCompletion(long argument, long out) {
        try {
            return (int) CREATE_COMPLETION.invokeExact(argument, 0L, out);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    static void release(long completion) {
        try {
            RELEASE.invokeExact(completion);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    static long returnValue(long completion) {
        try {
            return (long) RETURN_VALUE.invokeExact(completion);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    static long argument(long completion) {
        try {
            return (long) ARGUMENT.invokeExact(completion);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    static int read(long image, long offset, long length, long address, long completion) {
        try {
            return (int) READ.invokeExact(image, offset, length, address, completion);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    /** A read of what will be needed again. */
    static int readAhead(long image, long offset, long length, long address, long completion) {
        try {
            return (int) READ2.invokeExact(image, offset, length, address, completion, WILL_NEED);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    static int write(long image, long offset, long length, long address, long completion) {
        try {
            return (int) WRITE.invokeExact(image, offset, length, address, completion);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    static int discard(long image, long offset, long length, long completion) {
        try {
            return (int) DISCARD.invokeExact(image, offset, length, completion);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    static int writeZeroes(long image, long offset, long length, long completion, int flags) {
        try {
            return (int) WRITE_ZEROES.invokeExact(image, offset, length, completion, flags, 0);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    static int flush(long image, long completion) {
        try {
            return (int) FLUSH.invokeExact(image, completion);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }

    /** Takes up to {@code most} finished completions. */
    static int poll(long image, long completions, int most) {
        try {
            return (int) POLL.invokeExact(image, completions, most);
        } catch (Throwable e) {
            throw impossible(e);
        }
    }
}

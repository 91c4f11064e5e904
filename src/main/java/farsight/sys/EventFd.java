package farsight.sys;

import farsight.bindings.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A counter that wakes whoever waits for its descriptor (eventfd(2)). {@link #signal} may be called by any thread. */
public final class EventFd implements AutoCloseable {
    private static final Call EVENTFD = Native.call("eventfd", 2);
    private static final Call READ = Native.call("read", 3);
    private static final Call WRITE = Native.call("write", 3);
    private static final MemorySegment ONE = Arena.global().allocateFrom(ValueLayout.JAVA_LONG, 1);

    private final int fd;
    private final CallState signalState = CallState.forever();
    private final MemorySegment count = Arena.global().allocate(ValueLayout.JAVA_LONG);

    public EventFd() throws ErrnoException {
        int flags = Linux.EFD_CLOEXEC() | Linux.EFD_NONBLOCK();
        try (CallState state = CallState.open()) {
            int result = state.check((int) EVENTFD.invoke(state, 0, flags));
            fd = ErrnoException.check("eventfd", result);
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    public int fd() {
        return fd;
    }

    /** Wakes the waiter. The only failure, a full counter, means that it is awake already. */
    public void signal() {
        try {
            // errno is never read here, so that threads may share the capture segment.
            long ignored = WRITE.invoke(signalState, fd, ONE.address(), 8L);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Resets the counter; only the waiter calls this. */
    public void drain(CallState state) {
        drain(fd, count, state);
    }

    /** Resets the counter of somebody else's descriptor, which does not block. */
    public static void drain(int fd, MemorySegment count, CallState state) {
        try {
            long ignored = READ.invoke(state, fd, count.address(), 8L);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    @Override
    public void close() {
        Process.close(fd);
    }
}

package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.epoll_event;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** An epoll instance (epoll(7)), level triggered unless {@link #EDGES} is asked for. All methods belong to one thread. */
public final class Epoll implements AutoCloseable {
    public static final int READABLE = Linux.EPOLLIN();
    public static final int WRITABLE = Linux.EPOLLOUT();
    /** Events only when something new comes, not for as long as it is there. */
    public static final int EDGES = Linux.EPOLLET();
    /** Reported always: an error, or something in the socket's error queue. */
    public static final int ERROR = Linux.EPOLLERR();
    /** Reported always: error, or both directions hung up. */
    public static final int BROKEN = Linux.EPOLLERR() | Linux.EPOLLHUP();

    private static final Call EPOLL_CREATE1 = Native.call("epoll_create1", 1);
    private static final Call EPOLL_CTL = Native.call("epoll_ctl", 4);
    private static final Call EPOLL_WAIT = Native.call("epoll_wait", 4);

    // struct epoll_event is packed on x86-64: its data is at offset 4 there and at 8 elsewhere.
    private static final long EVENT_SIZE = epoll_event.layout().byteSize();
    private static final long DATA_OFFSET = epoll_event.data$offset();
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

    private final int fd;
    private final int capacity;
    private final CallState state;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment events;
    private final MemorySegment change;

    /** @param capacity how many events one wait may bring */
    public Epoll(CallState state, int capacity) throws ErrnoException {
        this.state = state;
        this.capacity = capacity;
        events = arena.allocate(EVENT_SIZE * capacity, 8);
        change = arena.allocate(EVENT_SIZE, 8);
        try {
            fd = ErrnoException.check(
                    "epoll_create1", state.check((int) EPOLL_CREATE1.invoke(state, Linux.EPOLL_CLOEXEC())));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    public void add(int descriptor, int interest, int token) throws ErrnoException {
        control(Linux.EPOLL_CTL_ADD(), descriptor, interest, token);
    }

    public void change(int descriptor, int interest, int token) throws ErrnoException {
        control(Linux.EPOLL_CTL_MOD(), descriptor, interest, token);
    }

    public void remove(int descriptor) throws ErrnoException {
        control(Linux.EPOLL_CTL_DEL(), descriptor, 0, 0);
    }

    private void control(int operation, int descriptor, int interest, int token) throws ErrnoException {
        change.set(INT, 0, interest);
        change.set(INT, DATA_OFFSET, token);
        int result;
        try {
            result = state.check((int) EPOLL_CTL.invoke(state, fd, operation, descriptor, change.address()));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
        if (result < 0) {
            throw new ErrnoException("epoll_ctl of descriptor " + descriptor, -result);
        }
    }

    /**
     * Waits for events.
     *
     * @param timeout milliseconds; 0 does not wait, -1 waits for ever
     * @return how many there are; 0 after the timeout or an interruption
     */
    public int await(int timeout) {
        try {
            int count = (int) EPOLL_WAIT.invoke(state, fd, events.address(), capacity, timeout);
            return Math.max(count, 0);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** The token that event {@code index} of the last wait was added with. */
    public int token(int index) {
        return events.get(INT, index * EVENT_SIZE + DATA_OFFSET);
    }

    public int readiness(int index) {
        return events.get(INT, index * EVENT_SIZE);
    }

    @Override
    public void close() {
        Process.close(fd);
        arena.close();
    }
}

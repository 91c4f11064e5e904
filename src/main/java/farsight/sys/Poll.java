package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.pollfd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A few descriptors watched at once (poll(2)). One thread; filled anew before each wait. */
public final class Poll implements AutoCloseable {
    private static final Call POLL = Native.call("poll", 3);

    private final Arena arena = Arena.ofConfined();
    private final CallState state = CallState.open();
    private final MemorySegment entries;
    private final int capacity;
    private int count;

    public Poll(int capacity) {
        this.capacity = capacity;
        entries = pollfd.allocateArray(capacity, arena);
    }

    public void clear() {
        count = 0;
    }

    /** Watches for something to receive. The result is the place to ask {@link #ready} about. */
    public int readable(int fd) {
        return add(fd, Linux.POLLIN());
    }

    /** Watches for the end of a connection only: the other side closed it, or it failed. */
    public int ended(int fd) {
        return add(fd, Linux.POLLRDHUP());
    }

    private int add(int fd, int events) {
        if (count == capacity) {
            throw new IllegalStateException("more than " + capacity + " descriptors");
        }
        MemorySegment entry = pollfd.asSlice(entries, count);
        pollfd.fd(entry, fd);
        pollfd.events(entry, (short) events);
        pollfd.revents(entry, (short) 0);
        return count++;
    }

    /** Waits until one is ready; false after the timeout. */
    public boolean await(int timeoutMillis) throws ErrnoException {
        int result;
        try {
            result = state.check((int) POLL.invoke(state, entries.address(), (long) count, timeoutMillis));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
        return result != -Linux.EINTR() && ErrnoException.check("poll", result) > 0;
    }

    /** Whether what was watched at this place has happened. */
    public boolean ready(int place) {
        return pollfd.revents(pollfd.asSlice(entries, place)) != 0;
    }

    @Override
    public void close() {
        state.close();
        arena.close();
    }
}

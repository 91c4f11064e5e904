package farsight.loop;

import farsight.buffer.Pool;
import java.time.Duration;

/** One thread with its channels, timers, buffers and a queue for tasks of other threads. */
public interface IoLoop extends AutoCloseable {

    /** The loop whose thread is the caller; null for any other thread. */
    static IoLoop current() {
        return EventLoop.ofCurrentThread();
    }

    /** Runs a task on the loop, soon. Any thread; allocates nothing. */
    void execute(LoopTask task);

    /** Runs a task on the loop, soon. Any thread. */
    default void execute(Runnable task) {
        execute(new LoopTask() {
            @Override
            protected void run() {
                task.run();
            }
        });
    }

    /** Whether the caller is the loop's thread. */
    boolean inLoop();

    /** Runs a task on the loop once, after a time. Loop thread only. */
    Timer after(Duration delay, Runnable task);

    /** Takes over a connected, non-blocking stream socket and begins to receive. Loop thread only. */
    Channel open(int fd, ChannelHandler handler);

    /**
     * Calls {@code ready} whenever a descriptor is readable: listening sockets and event descriptors. It does not own
     * the descriptor. Loop thread only.
     *
     * @return ends the watch; to be called on the loop before the descriptor is closed
     */
    Runnable watch(int fd, Runnable ready);

    /**
     * The loop's way to read and write files without waiting for them; null when it has none, and others have to wait in
     * its place. Loop thread only.
     */
    default FileIo files() {
        return null;
    }

    /**
     * Reads from a file what memory already has of it. Loop thread only.
     *
     * @return bytes, maybe fewer than asked, or a negated errno: EAGAIN when a disk would have to be waited for,
     *     EOPNOTSUPP when that cannot be told of this file
     */
    long readCached(int fd, long address, long length, long offset);

    /**
     * Writes to a file by a call that may have to wait for the file system, which all that this loop serves then waits
     * for, too. Only done while {@link #mayWait} allows it, for some milliseconds of each turn, and not for a while after
     * a call that did wait. Loop thread only.
     *
     * @return bytes, maybe fewer than asked, or a negated errno: EAGAIN when nothing was tried
     */
    long writeAtOnce(int fd, long address, long length, long offset);

    /**
     * Whether the loop may wait for a file system now and then: when all who depend on it are waiting for that anyway. Not
     * so in the beginning. Loop thread only.
     */
    void mayWait(boolean may);

    /** Whether it has been waiting for a file system, for so long that others had better ask another loop. Any thread. */
    boolean waits();

    /** Whether all of a range of mapped memory is there without waiting for a disk. Loop thread only. */
    boolean resident(long address, long bytes);

    /**
     * Calls {@code signalled} after every write to an event descriptor, once for writes that come together. Nobody has to
     * read the descriptor. Loop thread only.
     *
     * @return ends the watch; to be called on the loop before the descriptor is closed
     */
    Runnable watchSignals(int fd, Runnable signalled);

    /** The loop's buffers. Loop thread only. */
    Pool pool();

    /** What it has done so far. */
    Counters counters();

    /** When the current turn began, by the clock: a look at it that costs nothing. Loop thread only. */
    long turnBegan();

    /** The clock of timers, in nanoseconds from an arbitrary origin. */
    long now();

    /** Ends the thread after the tasks that are queued, and waits for it. Not from the loop itself. */
    @Override
    void close();
}

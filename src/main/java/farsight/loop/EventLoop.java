package farsight.loop;

import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.ErrorQueue;
import farsight.sys.EventFd;
import farsight.sys.Files;
import farsight.sys.IoVec;
import farsight.sys.Memory;
import farsight.sys.Process;
import farsight.sys.Scheduling;
import farsight.sys.Sockets;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.PriorityQueue;

/**
 * What loops have in common: the thread with its turns, tasks, timers and buffers. A turn waits for events, deals with all
 * of them, runs tasks and timers, and lets the channels that were touched send.
 */
abstract sealed class EventLoop implements IoLoop permits EpollLoop, UringLoop {
    /** The buffer to receive into, as large as what a socket holds by default: what follows diverted payload fills it. */
    static final int RECEIVE_SIZE = 256 << 10;

    /**
     * What one receive takes at most. The client gets on with the answers while the server deals with what is left. A write
     * of 64 KiB comes whole, with the requests around it.
     */
    static final int RECEIVE_AT_ONCE = 80 << 10;

    /**
     * With several busy clients there is always somebody else to go on with, and a receive takes all that is there; but
     * not when requests are longer than this, whose payload is better received to where it belongs.
     */
    private static final int LONG_REQUEST = 16 << 10;

    /** Turns after which a client that was the only one counts as such. */
    private static final int SOON = 8;

    /** A turn that takes longer is counted, and told of: the clients of this loop wait for it. */
    static final long STALL_NANOS = 50_000_000;

    /** New clients are not given to a loop that has been waiting for a file system for longer. */
    private static final long LONG_WAIT = 20_000_000;

    private static final long PAGE = Process.pageSize();
    private static final int PAGES = 256;
    private static final Logger LOG = System.getLogger(EventLoop.class.getName());

    private final CallState state = CallState.forever();
    private final LoopOptions options;
    private final Pool pool;
    private final EventFd wake;
    private final LoopThread thread;
    private final Spinner spinner;

    /** Whether more than one channel had something to do in the last two turns. */
    private boolean several;

    /** The first one of the last turn. */
    private StreamChannel previous;

    /** The first one of the last turn that had any, and for how many turns it has been the only one. */
    private StreamChannel latest;

    private long turnsAlone;
    private int receiveAtOnce = RECEIVE_AT_ONCE;
    private long requestsBefore;
    private long bytesBefore;

    private final Counters counters = new Counters();
    private final TaskQueue tasks = new TaskQueue();
    private final PriorityQueue<Timer> timers = new PriorityQueue<>();
    private final ArrayDeque<StreamChannel> touched = new ArrayDeque<>();
    private final IoVec single = new IoVec(1);
    private final ErrorQueue errors = new ErrorQueue();
    private final LingeringSends lingering = new LingeringSends(this);
    private final Patience patience = new Patience();
    private final MemorySegment pages = Arena.global().allocate(PAGES);

    private long turnBegan;
    private Buffer receiveBuffer;
    private volatile boolean sleeping;

    /** When it called a file system that has not answered; 0 when there is none. */
    private volatile long waitsSince;

    private volatile boolean stopping;

    EventLoop(String name, LoopOptions options) throws ErrnoException {
        this.options = options;
        pool = new Pool(options.poolBytes());
        wake = new EventFd();
        spinner = new Spinner(options.spin().toNanos());
        thread = new LoopThread(this, name, this::run);
    }

    /** The loop whose thread is the caller; null for any other thread. */
    static EventLoop ofCurrentThread() {
        return Thread.currentThread() instanceof LoopThread here ? here.loop() : null;
    }

    /** The last thing that the constructor of an implementation does. */
    final void start() {
        thread.start();
    }

    // ---- what implementations do ---------------------------------------------------------------------------------

    /** Called once, first of all on the loop's thread. */
    abstract void begin();

    /**
     * Waits for events: so many nanoseconds, or for ever (-1), or not at all (0).
     *
     * @return whether there is something to {@link #dispatch}
     */
    abstract boolean await(long nanos);

    /** Deals with the events of the last wait. */
    abstract void dispatch();

    /** Whether something is under way whose end has to be waited for even when the loop stops. */
    abstract boolean busy();

    /** Called once, last of all on the loop's thread. */
    abstract void end();

    /** Called when the thread is gone. */
    abstract void free();

    // ---- the thread ----------------------------------------------------------------------------------------------

    private void run() {
        if (options.batch()) {
            try {
                Scheduling.batch();
            } catch (ErrnoException e) {
                LOG.log(Level.WARNING, "{0}; going on without batch = true", e.getMessage());
            }
        }
        begin();
        while (!stopping || !tasks.isEmpty() || busy()) {
            await();
            turnBegan = now();
            counters.turn();
            dispatch();
            runTasks();
            runTimers();
            endTurn();
            long took = now() - turnBegan;
            if (took >= STALL_NANOS) {
                counters.stall();
                StallEvent.tell(took);
            }
        }
        freeReceiveBuffer();
        lingering.end();
        end();
    }

    private void await() {
        if (spinner.wanted(counters.requests(), counters.receivedBytes(), several) && spin()) {
            return;
        }
        // Whoever adds a task after the last look at the queue sees that the loop sleeps, and wakes it.
        sleeping = true;
        boolean due = !tasks.isEmpty() || stopping && !busy();
        long nanos = due ? 0 : untilTimer();
        if (nanos != 0) {
            counters.sleep();
        }
        await(nanos);
        sleeping = false;
    }

    /** Looks for work again and again for a while, which is quicker than being woken. */
    private boolean spin() {
        spinner.begin();
        do {
            if (await(0) || !tasks.isEmpty() || untilTimer() == 0) {
                spinner.found();
                return true;
            }
            Thread.onSpinWait();
        } while (!stopping && spinner.goesOn());
        return false;
    }

    /** Nanoseconds until the next timer is due; -1 when there is none. */
    private long untilTimer() {
        Timer first = timers.peek();
        return first == null ? -1 : Math.max(0, first.deadline - now());
    }

    private void runTasks() {
        LoopTask task = tasks.takeAll();
        while (task != null) {
            LoopTask following = task.next;
            task.next = null;
            try {
                task.run();
            } catch (RuntimeException | AssertionError e) {
                LOG.log(Level.ERROR, "a task failed: " + e, e);
            }
            task = following;
        }
    }

    private void runTimers() {
        while (!timers.isEmpty() && timers.peek().deadline - now() <= 0) {
            try {
                timers.poll().expire();
            } catch (RuntimeException | AssertionError e) {
                LOG.log(Level.ERROR, "a timer failed: " + e, e);
            }
        }
    }

    private void endTurn() {
        StreamChannel first = touched.peek();
        boolean others = false;
        StreamChannel channel;
        while ((channel = touched.poll()) != null) {
            others |= channel != first; // one that was touched again is still the only one
            try {
                channel.turnOver();
            } catch (RuntimeException | AssertionError e) {
                failed(channel, e);
            }
        }
        several = others || first != previous;
        previous = first;
        chooseReceives(first, others);
    }

    /** Decides how much the next receives take, by a turn in which somebody had something to do. */
    private void chooseReceives(StreamChannel first, boolean others) {
        if (first == null) {
            return;
        }
        long requests = counters.requests() - requestsBefore;
        long bytes = counters.receivedBytes() - bytesBefore;
        requestsBefore += requests;
        bytesBefore += bytes;
        turnsAlone = others || first != latest ? 0 : turnsAlone + 1;
        latest = first;
        boolean all = turnsAlone < SOON && bytes < requests * LONG_REQUEST;
        receiveAtOnce = all ? RECEIVE_SIZE : RECEIVE_AT_ONCE;
    }

    /** A mistake of ours costs the one channel that it happened on. */
    static void failed(Object target, Throwable cause) {
        LOG.log(Level.ERROR, "an event failed: " + cause, cause);
        if (target instanceof StreamChannel channel) {
            channel.broken(0);
        }
    }

    // ---- for implementations and channels ------------------------------------------------------------------------

    /** Bytes to receive at most in one call. */
    final int receiveAtOnce() {
        return receiveAtOnce;
    }

    final CallState callState() {
        return state;
    }

    final EventFd wake() {
        return wake;
    }

    /** The buffer to receive into: one that nobody kept, or null when the pool is at its limit. */
    final Buffer receiveBuffer() {
        if (receiveBuffer != null && receiveBuffer.shared()) {
            freeReceiveBuffer();
        }
        if (receiveBuffer == null) {
            receiveBuffer = pool.take(RECEIVE_SIZE);
        }
        return receiveBuffer;
    }

    private void freeReceiveBuffer() {
        if (receiveBuffer != null) {
            receiveBuffer.release();
            receiveBuffer = null;
        }
    }

    /** Takes off a socket's error queue which of its sends are over. */
    final void told(int fd, ZeroCopySends sends) {
        while (errors.next(state, fd)) {
            sends.told(errors);
        }
    }

    final ZeroCopy zeroCopy() {
        return options.zeroCopy();
    }

    final LingeringSends lingering() {
        return lingering;
    }

    final void touch(StreamChannel channel) {
        touched.add(channel);
    }

    // ---- IoLoop --------------------------------------------------------------------------------------------------

    @Override
    public final void execute(LoopTask task) {
        tasks.add(task);
        if (sleeping && Thread.currentThread() != thread) {
            sleeping = false;
            wake.signal();
        }
    }

    @Override
    public final boolean inLoop() {
        return Thread.currentThread() == thread;
    }

    @Override
    public final Timer after(Duration delay, Runnable task) {
        Timer timer = new Timer(now() + delay.toNanos(), task);
        timers.add(timer);
        return timer;
    }

    @Override
    public final long readCached(int fd, long address, long length, long offset) {
        single.clear();
        single.add(address, length);
        return Files.readCached(state, fd, single, offset);
    }

    @Override
    public final long writeAtOnce(int fd, long address, long length, long offset) {
        long began = now();
        if (!patience.lasts(turnBegan, began)) {
            return -Sockets.EAGAIN;
        }
        waitsSince = began;
        long written = Files.pwrite(state, fd, address, length, offset);
        waitsSince = 0;
        counters.fileWriteAtOnce();
        patience.called(began, now());
        return written;
    }

    @Override
    public final void mayWait(boolean may) {
        patience.allow(may);
    }

    @Override
    public final boolean waits() {
        long since = waitsSince;
        return since != 0 && now() - since >= LONG_WAIT;
    }

    @Override
    public final boolean resident(long address, long bytes) {
        long from = address & -PAGE;
        long end = address + bytes;
        while (from < end) {
            long length = Math.min(end - from, PAGES * PAGE);
            long count = Math.ceilDiv(length, PAGE);
            if (!Memory.residence(state, from, length, pages)) {
                return false;
            }
            for (long i = 0; i < count; i++) {
                if ((pages.get(ValueLayout.JAVA_BYTE, i) & 1) == 0) {
                    return false;
                }
            }
            from += length;
        }
        return true;
    }

    @Override
    public final Pool pool() {
        return pool;
    }

    @Override
    public final Counters counters() {
        return counters;
    }

    @Override
    public final long turnBegan() {
        return turnBegan;
    }

    @Override
    public final long now() {
        return options.clock().getAsLong();
    }

    @Override
    public final void close() {
        stopping = true;
        wake.signal();
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        free();
        freeAll();
    }

    /** For a constructor that fails, and for the end. */
    final void freeAll() {
        wake.close();
        single.close();
        errors.close();
        pool.close();
    }
}

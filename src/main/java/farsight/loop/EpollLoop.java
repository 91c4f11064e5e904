package farsight.loop;

import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import farsight.sys.CallState;
import farsight.sys.Epoll;
import farsight.sys.ErrnoException;
import farsight.sys.EventFd;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.PriorityQueue;
import java.util.function.LongSupplier;

/**
 * {@link IoLoop} on epoll(7): readiness, then one receive for each ready channel into a shared buffer, then one send for
 * each channel that was touched.
 */
public final class EpollLoop implements IoLoop {
    /** What one receive takes at most; what a socket holds by default is about as much. */
    static final int RECEIVE_SIZE = 256 << 10;

    private static final Logger LOG = System.getLogger(EpollLoop.class.getName());
    private static final int EVENTS = 256;
    private static final int WAKE_TOKEN = 0;

    private final CallState state = CallState.forever();
    private final LongSupplier clock;
    private final Pool pool;
    private final Epoll epoll;
    private final EventFd wake;
    private final Thread thread;
    private final TaskQueue tasks = new TaskQueue();
    private final PriorityQueue<Timer> timers = new PriorityQueue<>();
    private final ArrayDeque<EpollChannel> touched = new ArrayDeque<>();
    private final ArrayDeque<Integer> freeTokens = new ArrayDeque<>();

    /** By token: an EpollChannel, or a Runnable of {@link #watch}. */
    private Object[] registered = new Object[64];

    private int nextToken = WAKE_TOKEN + 1;
    private Buffer receiveBuffer;
    private volatile boolean sleeping;
    private volatile boolean stopping;

    /**
     * Starts the thread.
     *
     * @param poolBytes limit of the loop's buffers
     * @param clock nanoseconds, for timers
     */
    public EpollLoop(String name, long poolBytes, LongSupplier clock) throws ErrnoException {
        this.clock = clock;
        pool = new Pool(poolBytes);
        epoll = new Epoll(state, EVENTS);
        wake = new EventFd();
        epoll.add(wake.fd(), Epoll.READABLE, WAKE_TOKEN);
        thread = Thread.ofPlatform().name(name).daemon(true).unstarted(this::run);
        thread.start();
    }

    CallState callState() {
        return state;
    }

    // ---- the thread ----------------------------------------------------------------------------------------------

    private void run() {
        while (!stopping || !tasks.isEmpty()) {
            int ready = epoll.await(timeout());
            sleeping = false;
            for (int i = 0; i < ready; i++) {
                dispatch(epoll.token(i), epoll.readiness(i));
            }
            runTasks();
            runTimers();
            endTurn();
        }
        freeReceiveBuffer();
    }

    /** Milliseconds until something is due. Whoever adds a task after the last look here sees {@code sleeping}. */
    private int timeout() {
        sleeping = true;
        if (!tasks.isEmpty() || stopping) {
            return 0;
        }
        Timer first = timers.peek();
        if (first == null) {
            return -1;
        }
        long nanos = first.deadline - clock.getAsLong();
        return nanos <= 0 ? 0 : (int) Math.min(Integer.MAX_VALUE, nanos / 1_000_000 + 1);
    }

    private void dispatch(int token, int readiness) {
        if (token == WAKE_TOKEN) {
            wake.drain(state);
            return;
        }
        Object target = registered[token];
        try {
            switch (target) {
                case EpollChannel channel -> channel.ready(readiness);
                case Runnable watch -> watch.run();
                case null -> {} // closed by an earlier event of this turn
                default -> throw new AssertionError(target);
            }
        } catch (RuntimeException | AssertionError e) {
            failed(target, e);
        }
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
        while (!timers.isEmpty() && timers.peek().deadline - clock.getAsLong() <= 0) {
            try {
                timers.poll().expire();
            } catch (RuntimeException | AssertionError e) {
                LOG.log(Level.ERROR, "a timer failed: " + e, e);
            }
        }
    }

    private void endTurn() {
        EpollChannel channel;
        while ((channel = touched.poll()) != null) {
            try {
                channel.turnOver();
            } catch (RuntimeException | AssertionError e) {
                failed(channel, e);
            }
        }
    }

    /** A mistake of ours costs the one channel that it happened on. */
    private static void failed(Object target, Throwable cause) {
        LOG.log(Level.ERROR, "an event failed: " + cause, cause);
        if (target instanceof EpollChannel channel) {
            channel.broken(0);
        }
    }

    // ---- for channels --------------------------------------------------------------------------------------------

    /** The buffer to receive into: one that nobody kept, or null when the pool is at its limit. */
    Buffer receiveBuffer() {
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

    void touch(EpollChannel channel) {
        touched.add(channel);
    }

    void interest(int fd, int token, int interest) {
        try {
            epoll.change(fd, interest, token);
        } catch (ErrnoException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
    }

    private int register(int fd, Object target) {
        Integer reused = freeTokens.poll();
        int token = reused != null ? reused : nextToken++;
        if (token == registered.length) {
            registered = Arrays.copyOf(registered, token * 2);
        }
        registered[token] = target;
        try {
            epoll.add(fd, Epoll.READABLE, token);
        } catch (ErrnoException e) {
            registered[token] = null;
            freeTokens.add(token);
            throw new IllegalStateException(e.getMessage(), e);
        }
        return token;
    }

    void unregister(int fd, int token) {
        registered[token] = null;
        freeTokens.add(token);
        try {
            epoll.remove(fd);
        } catch (ErrnoException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
    }

    // ---- IoLoop --------------------------------------------------------------------------------------------------

    @Override
    public void execute(LoopTask task) {
        tasks.add(task);
        if (sleeping && Thread.currentThread() != thread) {
            sleeping = false;
            wake.signal();
        }
    }

    @Override
    public boolean inLoop() {
        return Thread.currentThread() == thread;
    }

    @Override
    public Timer after(Duration delay, Runnable task) {
        Timer timer = new Timer(clock.getAsLong() + delay.toNanos(), task);
        timers.add(timer);
        return timer;
    }

    @Override
    public Channel open(int fd, ChannelHandler handler) {
        EpollChannel channel = new EpollChannel(this, fd, handler);
        channel.token(register(fd, channel));
        return channel;
    }

    @Override
    public Runnable watch(int fd, Runnable ready) {
        int token = register(fd, ready);
        return () -> unregister(fd, token);
    }

    @Override
    public Pool pool() {
        return pool;
    }

    @Override
    public long now() {
        return clock.getAsLong();
    }

    @Override
    public void close() {
        stopping = true;
        wake.signal();
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        epoll.close();
        wake.close();
        pool.close();
    }
}

package farsight.loop;

import farsight.sys.Epoll;
import farsight.sys.ErrnoException;
import java.util.ArrayDeque;
import java.util.Arrays;

/**
 * {@link IoLoop} on epoll(7): readiness, then one receive for each ready channel into a shared buffer, then one send for
 * each channel that was touched.
 */
public final class EpollLoop extends EventLoop {
    private static final int EVENTS = 256;
    private static final int WAKE_TOKEN = 0;

    private final Epoll epoll;
    private final ArrayDeque<Integer> freeTokens = new ArrayDeque<>();

    /** By token: an EpollChannel, or a Runnable of {@link #watch}. */
    private Object[] registered = new Object[64];

    private int nextToken = WAKE_TOKEN + 1;
    private int ready;

    /** Starts the thread. */
    public EpollLoop(String name, LoopOptions options) throws ErrnoException {
        super(name, options);
        epoll = new Epoll(callState(), EVENTS);
        epoll.add(wake().fd(), Epoll.READABLE, WAKE_TOKEN);
        start();
    }

    @Override
    void begin() {}

    @Override
    boolean await(long nanos) {
        // Rounded up, so that a timer is due when its wait is over.
        int millis = nanos <= 0 ? (int) nanos : (int) Math.min(Integer.MAX_VALUE, nanos / 1_000_000 + 1);
        ready = epoll.await(millis);
        return ready > 0;
    }

    @Override
    void dispatch() {
        for (int i = 0; i < ready; i++) {
            dispatch(epoll.token(i), epoll.readiness(i));
        }
        ready = 0;
    }

    private void dispatch(int token, int readiness) {
        if (token == WAKE_TOKEN) {
            wake().drain(callState());
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

    @Override
    boolean busy() {
        return false;
    }

    @Override
    void end() {}

    @Override
    void free() {
        epoll.close();
    }

    // ---- for channels --------------------------------------------------------------------------------------------

    void interest(int fd, int token, int interest) {
        try {
            epoll.change(fd, interest, token);
        } catch (ErrnoException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
    }

    private int register(int fd, Object target, int interest) {
        Integer reused = freeTokens.poll();
        int token = reused != null ? reused : nextToken++;
        if (token == registered.length) {
            registered = Arrays.copyOf(registered, token * 2);
        }
        registered[token] = target;
        try {
            epoll.add(fd, interest, token);
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
    public Channel open(int fd, ChannelHandler handler) {
        EpollChannel channel = new EpollChannel(this, fd, handler);
        channel.token(register(fd, channel, Epoll.READABLE));
        return channel;
    }

    @Override
    public Runnable watch(int fd, Runnable ready) {
        int token = register(fd, ready, Epoll.READABLE);
        return () -> unregister(fd, token);
    }

    @Override
    public Runnable watchSignals(int fd, Runnable signalled) {
        // By its edges, so that a burst costs no read to reset the counter.
        int token = register(fd, signalled, Epoll.READABLE | Epoll.EDGES);
        return () -> unregister(fd, token);
    }
}

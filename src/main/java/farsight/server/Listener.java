package farsight.server;

import farsight.loop.IoLoop;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.SocketAddress;
import farsight.sys.Sockets;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;

/** A socket that clients connect to. Accepts on one loop and hands connections to the server. Loop thread only. */
final class Listener {
    private static final Logger LOG = System.getLogger(Listener.class.getName());

    /** How many are accepted before others get their turn. */
    private static final int BATCH = 64;

    /** How many may come in vain, or at the cost of others, before the loop does something else for a while. */
    private static final int MOST_IN_VAIN = 16;

    private static final Duration RESPITE = Duration.ofMillis(5);

    /** How long nothing is accepted when the process is out of descriptors. */
    private static final Duration PAUSE = Duration.ofMillis(100);

    /** Of unix sockets: by default a reply of 128 KiB leaves no room for the next. TCP finds its sizes by itself. */
    private static final int UNIX_BUFFER = 256 << 10;

    private final Server server;
    private final IoLoop loop;
    private final SocketAddress address;
    private final int fd;
    private final CallState state = CallState.forever();
    private Runnable watch;
    private boolean closed;

    /** Binds and listens; begins to accept with {@link #start}. */
    Listener(Server server, IoLoop loop, SocketAddress address) throws ErrnoException {
        this.server = server;
        this.loop = loop;
        fd = Sockets.listen(address, 1024);
        this.address = Sockets.local(fd);
    }

    /** Accepts from a socket that somebody else has made and bound, and that listens. */
    Listener(Server server, IoLoop loop, int listening) throws ErrnoException {
        this.server = server;
        this.loop = loop;
        fd = listening;
        Sockets.nonBlocking(fd, true);
        address = Sockets.local(fd);
    }

    /** With the port that the system chose, if it was left to it. */
    SocketAddress address() {
        return address;
    }

    void start() {
        watch = loop.watch(fd, this::accept);
    }

    private void accept() {
        int inVain = 0;
        for (int i = 0; i < BATCH && !closed; i++) {
            int connection = Sockets.accept(state, fd);
            if (connection >= 0) {
                if (!accepted(connection) && ++inVain == MOST_IN_VAIN) {
                    pause(RESPITE);
                    return;
                }
            } else if (connection == -Sockets.EAGAIN) {
                return;
            } else if (isShortage(-connection)) {
                LOG.log(
                        Level.WARNING,
                        "cannot accept on {0}: {1}; raise the limit on open files (ulimit -n, LimitNOFILE=)",
                        address,
                        ErrnoException.describe(-connection));
                pause(PAUSE);
                return;
            }
            // Anything else concerns the connection that failed, not the listener (accept(2)).
        }
    }

    private static boolean isShortage(int errno) {
        return errno == Sockets.EMFILE
                || errno == Sockets.ENFILE
                || errno == Sockets.ENOBUFS
                || errno == Sockets.ENOMEM;
    }

    private void pause(Duration time) {
        watch.run();
        watch = null;
        loop.after(time, () -> {
            if (!closed) {
                start();
            }
        });
    }

    /** Whether there was room for it. */
    private boolean accepted(int connection) {
        SocketAddress peer;
        try {
            if (address instanceof SocketAddress.Tcp) {
                Sockets.noDelay(connection);
            } else {
                Sockets.bufferSizes(connection, UNIX_BUFFER);
            }
            peer = Sockets.remote(connection);
        } catch (ErrnoException e) {
            // It is gone already.
            Sockets.close(connection);
            return true;
        }
        return server.accepted(connection, peer);
    }

    /** Stops accepting. */
    void close() {
        if (!closed) {
            closed = true;
            if (watch != null) {
                watch.run();
            }
            Sockets.close(fd);
        }
    }
}

package farsight.loop;

import farsight.sys.Sockets;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Sockets of channels that were closed while the system still sent from their memory. As after close(2) of others, what
 * was sent still arrives, and then the end; but the socket stays open until all of it has, so that nobody else's data
 * comes into that memory before. Who takes too long, or too much memory, loses the rest. Loop thread only.
 */
final class LingeringSends {
    private static final Logger LOG = System.getLogger(LingeringSends.class.getName());
    private static final Duration INTERVAL = Duration.ofMillis(10);

    /** How long a peer may take, as long as it had before its connection was closed. */
    private static final long PATIENCE_NANOS = 3_000_000_000L;

    /** Bytes of buffers of all of them; beyond that the oldest lose the rest at once. */
    private static final long MOST_BYTES = 64 << 20;

    /** A network device that takes longer with what a socket does not want to send any more is stuck. */
    private static final long STUCK_NANOS = 60_000_000_000L;

    private final EventLoop loop;
    private final List<Lingering> all = new ArrayList<>(0);
    private boolean scheduled;

    /** Whoever gets the memory that comes back may close a channel. */
    private boolean looking;

    private static final class Lingering {
        final int fd;
        final ZeroCopySends sends;
        final long since;
        boolean disconnected;
        boolean stuck;

        Lingering(int fd, ZeroCopySends sends, long since) {
            this.fd = fd;
            this.sends = sends;
            this.since = since;
        }
    }

    LingeringSends(EventLoop loop) {
        this.loop = loop;
    }

    /** Closes a socket that nothing watches any more, now or later. */
    void close(int fd, ZeroCopySends sends) {
        Sockets.shutdownSending(fd);
        all.add(new Lingering(fd, sends, loop.now()));
        if (!looking) {
            look();
        }
    }

    private void look() {
        looking = true;
        try {
            lookAtAll();
        } finally {
            looking = false;
        }
        if (!all.isEmpty() && !scheduled) {
            scheduled = true;
            loop.after(INTERVAL, () -> {
                scheduled = false;
                look();
            });
        }
    }

    private void lookAtAll() {
        long bytes = 0;
        for (int i = all.size() - 1; i >= 0; i--) {
            Lingering one = all.get(i);
            long age = loop.now() - one.since;
            loop.told(one.fd, one.sends);
            if (one.sends.outstanding() && !one.disconnected && (age >= PATIENCE_NANOS || bytes > MOST_BYTES)) {
                one.disconnected = true;
                Sockets.disconnect(one.fd);
                loop.told(one.fd, one.sends);
            }
            if (one.sends.outstanding()) {
                bytes += one.sends.heldBytes();
                if (age >= STUCK_NANOS && !one.stuck) {
                    one.stuck = true;
                    LOG.log(Level.WARNING, "the network does not let go of the memory of a closed connection");
                }
            } else {
                all.remove(i);
                Sockets.close(one.fd);
            }
        }
    }

    /** The loop has ended. What the system still has of the memory it keeps by itself. */
    void end() {
        for (Lingering one : all) {
            Sockets.close(one.fd);
            one.sends.releaseAll();
        }
        all.clear();
    }
}

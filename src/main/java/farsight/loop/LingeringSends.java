package farsight.loop;

import farsight.sys.Sockets;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Sockets of channels that were closed while the system still sent from their memory. They are disconnected, which drops
 * what waits to be sent, and stay open until what the network device has of them is over, so that nobody else's data
 * comes into that memory before. Loop thread only.
 */
final class LingeringSends {
    private static final Logger LOG = System.getLogger(LingeringSends.class.getName());
    private static final Duration INTERVAL = Duration.ofMillis(10);

    /** A device that takes longer is stuck: its memory stays away. */
    private static final long MOST_NANOS = 60_000_000_000L;

    private final EventLoop loop;
    private final List<Lingering> all = new ArrayList<>(0);
    private boolean scheduled;

    private record Lingering(int fd, ZeroCopySends sends, long since) {}

    LingeringSends(EventLoop loop) {
        this.loop = loop;
    }

    /** Closes a socket that nothing watches any more, now or later. */
    void close(int fd, ZeroCopySends sends) {
        loop.told(fd, sends);
        if (sends.outstanding()) {
            Sockets.disconnect(fd);
            loop.told(fd, sends);
        }
        if (sends.outstanding()) {
            all.add(new Lingering(fd, sends, loop.now()));
            schedule();
        } else {
            Sockets.close(fd);
        }
    }

    private void schedule() {
        if (!scheduled) {
            scheduled = true;
            loop.after(INTERVAL, this::look);
        }
    }

    private void look() {
        scheduled = false;
        all.removeIf(one -> {
            loop.told(one.fd, one.sends);
            boolean over = !one.sends.outstanding();
            if (over) {
                Sockets.close(one.fd);
            }
            return over;
        });
        boolean young = false;
        for (Lingering one : all) {
            young |= loop.now() - one.since < MOST_NANOS;
        }
        if (young) {
            schedule();
        } else if (!all.isEmpty()) {
            LOG.log(Level.WARNING, "the network does not let go of the memory of {0} closed connections", all.size());
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

package farsight.server;

import farsight.config.Io;
import farsight.config.Loops;
import farsight.loop.EpollLoop;
import farsight.loop.IoLoop;
import farsight.loop.LoopOptions;
import farsight.loop.UringLoop;
import farsight.loop.ZeroCopy;
import farsight.sys.ErrnoException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;

/** Makes the loops of a server, all of one kind: the one that is configured, or else the one that is to be had. */
final class LoopChoice {
    private static final Logger LOG = System.getLogger(LoopChoice.class.getName());

    private final LoopOptions options;
    private boolean uring;

    /** @param poolBytes limit of each loop's buffers */
    LoopChoice(Loops config, long poolBytes) {
        // On a single processor whoever is waited for could do nothing meanwhile.
        Duration spin = Runtime.getRuntime().availableProcessors() > 1 ? config.spin() : Duration.ZERO;
        ZeroCopy zeroCopy = config.zeroCopy() ? ZeroCopy.WHERE_IT_PAYS : ZeroCopy.OFF;
        options = new LoopOptions(poolBytes, spin, config.batch(), zeroCopy, System::nanoTime);
        uring = config.io() != Io.EPOLL;
    }

    IoLoop open(String name) throws ErrnoException {
        if (uring) {
            try {
                return new UringLoop(name, options);
            } catch (ErrnoException e) {
                uring = false;
                LOG.log(
                        Level.INFO,
                        "{0}: serving by epoll instead; io_uring needs Linux 5.17 or newer, the sysctl"
                                + " kernel.io_uring_disabled = 0, and a seccomp filter that lets it through",
                        e.getMessage());
            }
        }
        return new EpollLoop(name, options);
    }
}

package farsight.server;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;

/** Warnings that clients can cause at will: so many in a second, and how many others there were. Any thread. */
final class Complaints {
    private static final int MOST = 10;
    private static final long SECOND = 1_000_000_000;

    private final Logger log;
    private long second = System.nanoTime() - SECOND;
    private int said;
    private long unsaid;

    Complaints(Logger log) {
        this.log = log;
    }

    /** Logs a warning of one line, if there were not too many. */
    void say(Object about, String what) {
        long more;
        synchronized (this) {
            long now = System.nanoTime();
            if (now - second >= SECOND) {
                second = now;
                said = 0;
            }
            if (++said > MOST) {
                unsaid++;
                return;
            }
            more = unsaid;
            unsaid = 0;
        }
        log.log(Level.WARNING, "{0}: {1}", about, what);
        if (more > 0) {
            log.log(Level.WARNING, "{0} more of such warnings were left out", more);
        }
    }
}

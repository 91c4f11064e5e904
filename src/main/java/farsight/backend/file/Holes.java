package farsight.backend.file;

import farsight.sys.CallState;
import farsight.sys.Files;

/**
 * Whether a file is known to have no holes, so that nobody need be asked where they are. Holes that others make
 * meanwhile are then told as data, which they may be (proto.md, "base:allocation"). Any thread.
 */
final class Holes {
    /** How many questions are answered the long way before the file is looked at again. */
    private static final int PATIENCE = 256;

    private final int fd;
    private final long size;
    private volatile boolean none;
    private volatile boolean punched;
    private volatile int asked;

    Holes(int fd, long size) {
        this.fd = fd;
        this.size = size;
        try (CallState state = CallState.open()) {
            look(state);
        }
    }

    /** Whether all of it is data. */
    boolean none() {
        return none;
    }

    /** A hole is about to be made here. From now on every question is answered the long way. */
    void punched() {
        punched = true;
        none = false;
    }

    /** Somebody who may wait was asked: after a while all may have been written. */
    @SuppressWarnings("NonAtomicOperationOnVolatileField") // a lost count only makes it later
    void asked(CallState state) {
        if (!punched && ++asked % PATIENCE == 0) {
            look(state);
        }
    }

    private void look(CallState state) {
        boolean whole = size > 0 && Files.seekHole(state, fd, 0) >= size;
        none = whole;
        if (punched) {
            // Between the question and its answer.
            none = false;
        }
    }
}

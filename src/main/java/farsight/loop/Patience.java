package farsight.loop;

/**
 * Whether a loop may make a call that could wait for a file system: when its owner allows it, for a short time of each
 * turn, and not for a while after one that did wait. After the next such one it is a longer while. Loop thread only.
 */
final class Patience {
    /** So much of a turn may go into such calls; what else there is must not wait for longer. */
    static final long OF_A_TURN = 5_000_000;

    /** A call that takes as long as this has waited for a disk, or for a processor, of which there are too few then. */
    static final long LONG = 10_000_000;

    static final long SHORTEST_PAUSE = 100_000_000;
    static final long LONGEST_PAUSE = 10_000_000_000L;

    private boolean allowed;
    private long turn;
    private long spent;

    /** 0 when none was needed lately. */
    private long pause;

    private long resumes;

    void allow(boolean may) {
        allowed = may;
    }

    /**
     * Whether another call may be made now.
     *
     * @param turnBegan which turn this is
     */
    boolean lasts(long turnBegan, long now) {
        if (!allowed || pause != 0 && now - resumes < 0) {
            return false;
        }
        if (turnBegan != turn) {
            turn = turnBegan;
            spent = 0;
        }
        return spent < OF_A_TURN;
    }

    /** A call was made. */
    void called(long began, long ended) {
        long took = ended - began;
        spent += took;
        if (took >= LONG) {
            // It went well for as long as the last pause: what was then is over.
            boolean again = pause != 0 && began - resumes < pause;
            pause = again ? Math.min(pause * 2, LONGEST_PAUSE) : SHORTEST_PAUSE;
            resumes = ended + pause;
        }
    }
}

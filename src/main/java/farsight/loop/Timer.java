package farsight.loop;

/** Something that a loop does later, once, unless it is cancelled. Loop thread only. */
public final class Timer implements Comparable<Timer> {
    final long deadline;
    private Runnable task;

    Timer(long deadline, Runnable task) {
        this.deadline = deadline;
        this.task = task;
    }

    /** Without effect when it has run. */
    public void cancel() {
        task = null;
    }

    void expire() {
        Runnable todo = task;
        task = null;
        if (todo != null) {
            todo.run();
        }
    }

    @Override
    public int compareTo(Timer other) {
        return Long.signum(deadline - other.deadline);
    }

    @Override
    public boolean equals(Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }
}

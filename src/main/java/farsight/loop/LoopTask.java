package farsight.loop;

/**
 * Something for a loop to run, handed over from any thread. It carries its own link, so that handing it over allocates
 * nothing; it is in at most one queue at a time and may be handed over again once it runs.
 */
public abstract class LoopTask {
    LoopTask next;

    /** Called on the loop. */
    protected abstract void run();
}

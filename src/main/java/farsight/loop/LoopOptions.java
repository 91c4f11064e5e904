package farsight.loop;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * How a loop works.
 *
 * @param poolBytes limit of its buffers
 * @param spin how long it looks for work before it sleeps, at most; zero sleeps at once
 * @param batch whether it lets others finish what they do when it is woken (SCHED_BATCH)
 * @param zeroCopy whether channels may send in place
 * @param clock nanoseconds, for timers
 */
public record LoopOptions(long poolBytes, Duration spin, boolean batch, ZeroCopy zeroCopy, LongSupplier clock) {
    /** Sleeps when there is nothing to do, and asks for nothing special. */
    public static LoopOptions of(long poolBytes) {
        return new LoopOptions(poolBytes, Duration.ZERO, false, ZeroCopy.OFF, System::nanoTime);
    }
}

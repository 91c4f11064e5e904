package farsight.benchmarks;

import farsight.loop.EpollLoop;
import farsight.loop.IoLoop;
import farsight.loop.LoopOptions;
import farsight.loop.LoopTask;
import farsight.loop.UringLoop;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** Tasks handed over to a loop that sleeps, as storage does with its completions: one alone, and a burst. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class Turn {
    private static final int BURST = 64;

    @Param({"epoll", "uring"})
    public String io;

    private final Mark[] tasks = new Mark[BURST];
    private IoLoop loop;
    private volatile int left;

    private final class Mark extends LoopTask {
        @Override
        protected void run() {
            left--; // only the loop writes while the benchmark waits
        }
    }

    @Setup
    public void open() throws Exception {
        LoopOptions options = LoopOptions.of(1L << 20);
        loop = io.equals("epoll") ? new EpollLoop("turn", options) : new UringLoop("turn", options);
        for (int i = 0; i < BURST; i++) {
            tasks[i] = new Mark();
        }
    }

    @TearDown
    public void close() {
        loop.close();
    }

    @Benchmark
    public void single() {
        handOver(1);
    }

    @Benchmark
    @OperationsPerInvocation(BURST)
    public void burst() {
        handOver(BURST);
    }

    private void handOver(int count) {
        left = count;
        for (int i = 0; i < count; i++) {
            loop.execute(tasks[i]);
        }
        while (left > 0) {
            Thread.onSpinWait();
        }
    }
}

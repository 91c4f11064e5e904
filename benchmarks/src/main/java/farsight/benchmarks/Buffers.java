package farsight.benchmarks;

import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A buffer taken from the pool and given back. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class Buffers {
    @Param({"4096", "1048576"})
    public int bytes;

    private Pool pool;

    @Setup
    public void open() throws Exception {
        pool = new Pool(64L << 20);
    }

    @TearDown
    public void close() {
        pool.close();
    }

    @Benchmark
    public long takeAndRelease() {
        Buffer buffer = pool.take(bytes);
        long address = buffer.address();
        buffer.release();
        return address;
    }
}

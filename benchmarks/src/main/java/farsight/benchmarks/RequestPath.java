package farsight.benchmarks;

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

/** 4k requests from a socket to memory and back: parse, serve, reply. Client and server are in this process. */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
public class RequestPath {
    private static final int DEPTH = 32;
    private static final long SIZE = 256L << 20;

    @Param({"epoll", "uring"})
    public String io;

    private Served served;
    private Requester one;
    private Requester reads;
    private Requester writes;

    @Setup
    public void open() throws Exception {
        served = Served.memory(io, SIZE);
        one = served.connect(false, 4096, 1);
        reads = served.connect(false, 4096, DEPTH);
        writes = served.connect(true, 4096, DEPTH);
        try (Requester fill = served.connect(true, 1 << 20, 8)) {
            for (int i = 0; i < 400; i++) {
                fill.batch();
            }
        }
    }

    @TearDown
    public void close() throws Exception {
        one.close();
        reads.close();
        writes.close();
        served.close();
    }

    @Benchmark
    public long read4kDepth1() throws Exception {
        return one.batch();
    }

    @Benchmark
    @OperationsPerInvocation(DEPTH)
    public long read4kDepth32() throws Exception {
        return reads.batch();
    }

    @Benchmark
    @OperationsPerInvocation(DEPTH)
    public long write4kDepth32() throws Exception {
        return writes.batch();
    }
}

package farsight.benchmarks;

import farsight.sys.LoopDevice;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
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

/** Throughput of an image behind a loop device, which is made and removed here (root), and of the image itself. */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
public class LoopBacked {
    private static final int DEPTH = 32;
    private static final int LARGE_DEPTH = 8;
    private static final long SIZE = 256L << 20;

    @Param({"epoll", "uring"})
    public String io;

    @Param({"file", "loop"})
    public String storage;

    private Path image;
    private LoopDevice device;
    private Served served;
    private Requester reads;
    private Requester writes;
    private Requester large;

    @Setup
    public void open() throws Exception {
        image = Files.createTempFile("farsight-jmh", ".img");
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            byte[] piece = new byte[1 << 20];
            java.util.Arrays.fill(piece, (byte) 7);
            for (long at = 0; at < SIZE; at += piece.length) {
                file.write(piece);
            }
        }
        if (storage.equals("loop")) {
            device = LoopDevice.attach(image.toString());
        }
        served = Served.path(io, device == null ? image.toString() : device.path());
        reads = served.connect(false, 4096, DEPTH);
        writes = served.connect(true, 4096, DEPTH);
        large = served.connect(false, 128 << 10, LARGE_DEPTH);
    }

    @TearDown
    public void close() throws Exception {
        reads.close();
        writes.close();
        large.close();
        served.close();
        if (device != null) {
            device.close();
        }
        Files.delete(image);
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

    @Benchmark
    @OperationsPerInvocation(LARGE_DEPTH)
    public long read128kDepth8() throws Exception {
        return large.batch();
    }
}

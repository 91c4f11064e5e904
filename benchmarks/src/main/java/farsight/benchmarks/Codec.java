package farsight.benchmarks;

import farsight.protocol.Nbd;
import farsight.protocol.RequestHeader;
import farsight.protocol.RequestValidator;
import farsight.protocol.SimpleReply;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** A batch of requests read and judged, and its replies written: what a request costs besides system calls. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class Codec {
    private static final int BATCH = 64;
    private static final long SIZE = 1L << 30;
    private static final int FLAGS = Nbd.NBD_FLAG_HAS_FLAGS | Nbd.NBD_FLAG_SEND_FLUSH | Nbd.NBD_FLAG_SEND_FUA;

    private MemorySegment requests;
    private MemorySegment replies;

    @Setup
    public void write() {
        requests = Arena.ofAuto().allocate(BATCH * RequestHeader.SIZE, 8);
        replies = Arena.ofAuto().allocate(BATCH * SimpleReply.SIZE, 8);
        for (int i = 0; i < BATCH; i++) {
            int type = i % 3 == 0 ? Nbd.NBD_CMD_WRITE : Nbd.NBD_CMD_READ;
            RequestHeader.write(requests, (long) i * RequestHeader.SIZE, 0, type, i, i * 4096L, 4096);
        }
    }

    @Benchmark
    @OperationsPerInvocation(BATCH)
    public int requestAndReply() {
        int refused = 0;
        for (int i = 0; i < BATCH; i++) {
            long at = (long) i * RequestHeader.SIZE;
            int error = RequestHeader.magic(requests, at) != Nbd.NBD_REQUEST_MAGIC
                    ? Nbd.NBD_EINVAL
                    : RequestValidator.check(
                            RequestHeader.type(requests, at),
                            RequestHeader.flags(requests, at),
                            RequestHeader.offset(requests, at),
                            RequestHeader.length(requests, at),
                            FLAGS,
                            SIZE,
                            1);
            refused |= error;
            SimpleReply.write(replies, (long) i * SimpleReply.SIZE, error, RequestHeader.cookie(requests, at));
        }
        return refused;
    }
}

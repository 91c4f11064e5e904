package farsight.server;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.backend.Request.Command;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Storage in memory that insists on whole blocks: anything else fails and is remembered as a mistake of the server. It
 * completes some requests at once and others later, on several threads, which end when there is nothing to do. It may be
 * opened again after it was closed.
 */
final class Sectors implements AsyncBlockDevice {
    /** What it was asked for, in the order of coming. */
    record Call(Command command, long offset, long length, boolean fua) {}

    final byte[] bytes;
    final List<Call> calls = Collections.synchronizedList(new ArrayList<>());
    final ConcurrentLinkedQueue<String> mistakes = new ConcurrentLinkedQueue<>();
    private final int block;
    private final int maximum;
    private final Set<Feature> features;
    private volatile long failingOffset = -1;
    private volatile int failure;
    private final ThreadPoolExecutor threads = new ThreadPoolExecutor(
            3,
            3,
            5,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().daemon(true).factory());

    Sectors(int size, int block, int maximum) {
        this(
                size,
                block,
                maximum,
                Set.of(
                        Feature.FLUSH,
                        Feature.FUA,
                        Feature.TRIM,
                        Feature.WRITE_ZEROES,
                        Feature.FAST_ZERO,
                        Feature.EXTENTS));
    }

    Sectors(int size, int block, int maximum, Set<Feature> features) {
        bytes = new byte[size];
        this.block = block;
        this.maximum = maximum;
        this.features = features;
        threads.allowCoreThreadTimeOut(true);
    }

    /** From now on requests that begin at this offset fail; -1 for none. */
    void failAt(long offset, int errno) {
        failure = errno;
        failingOffset = offset;
    }

    @Override
    public long size() {
        return bytes.length;
    }

    @Override
    public Set<Feature> features() {
        return features;
    }

    @Override
    public BlockSizes blockSizes() {
        return new BlockSizes(block, Math.max(512, block), maximum);
    }

    @Override
    public void submit(Request request) {
        boolean payload = request.command() == Command.READ || request.command() == Command.WRITE;
        if ((request.offset() | request.length()) % block != 0
                || request.offset() + request.length() > bytes.length
                || payload && request.length() > maximum) {
            mistakes.add(request.command() + " at " + request.offset() + " of " + request.length());
            request.fail(Errno.EINVAL);
            return;
        }
        if (calls.size() < 10_000) {
            calls.add(new Call(request.command(), request.offset(), request.length(), request.fua()));
        }
        if (ThreadLocalRandom.current().nextInt(4) == 0) {
            serve(request);
        } else {
            threads.execute(() -> serve(request));
        }
    }

    private void serve(Request request) {
        if (request.offset() == failingOffset && request.length() > 0) {
            request.fail(failure);
            return;
        }
        int offset = (int) request.offset();
        int length = (int) request.length();
        MemorySegment range = MemorySegment.ofArray(bytes).asSlice(offset, length);
        switch (request.command()) {
            case READ -> {
                MemorySegment target = request.buffer().copyFrom(range);
                if (ThreadLocalRandom.current().nextBoolean()) {
                    Thread.yield(); // lets others come between the reading of a block and its writing
                }
                assert target.byteSize() == length;
            }
            case WRITE -> range.copyFrom(request.buffer());
            case WRITE_ZEROES -> range.fill((byte) 0);
            case EXTENTS -> extents(request, offset, offset + length);
            case TRIM, FLUSH, CACHE -> {}
        }
        request.complete();
    }

    /** Block by block, as coarse storage would. */
    private void extents(Request request, int from, int to) {
        boolean more = true;
        for (int at = from; at < to && more; at += block) {
            boolean zero = true;
            for (int i = at; i < at + block && zero; i++) {
                zero = bytes[i] == 0;
            }
            more = request.extents().extent(block, zero, zero);
        }
    }
}

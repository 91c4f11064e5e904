package farsight.client;

import farsight.sys.QuickCalls;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;

/** Reads both sides of a copy again and compares them, several pieces at a time. What both know to be zeroes is equal. */
final class Comparison {
    private final CopySide source;
    private final CopySide target;
    private final CopyOptions options;

    /** Bytes that are compared at once. */
    private final int size;

    private final AtomicLong progress;
    private final CopyPlan plan;
    private volatile IOException failure;

    Comparison(CopySide source, CopySide target, CopyOptions options, int size, AtomicLong progress) {
        this.source = source;
        this.target = target;
        this.options = options;
        this.size = size;
        this.progress = progress;
        plan = new CopyPlan(source, source.size(), size, Math.max(source.alignment(), target.alignment()));
    }

    void run() throws IOException {
        Thread[] threads = new Thread[options.connections()];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(null, new Worker(), "verify");
            threads[i].setDaemon(true);
            threads[i].start();
        }
        for (Thread thread : threads) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                plan.stop();
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    private final class Worker implements Runnable {
        @Override
        public void run() {
            try {
                compare();
            } catch (IOException e) {
                failure = e;
                plan.stop();
            }
        }
    }

    private void compare() throws IOException {
        MemorySegment memory = QuickCalls.map(2L * size);
        try {
            MemorySegment zeroes = QuickCalls.map(size);
            try {
                for (CopyPlan.Piece piece = plan.next(); piece != null; piece = plan.next()) {
                    if (piece.zero()) {
                        comparePart(zeroes, memory.asSlice(size), piece.offset(), piece.length());
                    } else {
                        MemorySegment expected = memory.asSlice(0, piece.length());
                        source.read(expected, piece.offset());
                        compare(expected, memory.asSlice(size, piece.length()), piece.offset());
                    }
                    progress.addAndGet(piece.length());
                }
            } finally {
                QuickCalls.unmap(zeroes);
            }
        } finally {
            QuickCalls.unmap(memory);
        }
    }

    /** Zeroes of the source: what the target knows to be zeroes need not be read. */
    private void comparePart(MemorySegment zeroes, MemorySegment buffer, long offset, long length) throws IOException {
        long end = offset + length;
        for (long at = offset; at < end; ) {
            CopySide.Stretch stretch;
            synchronized (target) {
                stretch = target.stretch(at);
            }
            long stop = Math.min(end, stretch.end());
            if (stretch.zero()) {
                at = stop;
                continue;
            }
            long part = Math.min(zeroes.byteSize(), end - at);
            compare(zeroes.asSlice(0, part), buffer.asSlice(0, part), at);
            at += part;
        }
    }

    private void compare(MemorySegment expected, MemorySegment actual, long offset) throws IOException {
        target.read(actual, offset);
        long different = expected.mismatch(actual);
        if (different >= 0) {
            throw new IOException(
                    target.place + ": differs from " + source.place + " at offset " + (offset + different));
        }
    }
}

package farsight.server;

import farsight.backend.ExtentSink;
import farsight.backend.Request;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;

/** A flush that no client asked for. */
final class FlushRequest implements Request {
    private final CompletableFuture<Integer> result = new CompletableFuture<>();
    private long tag;

    /** 0, or the errno that it failed with. */
    CompletableFuture<Integer> result() {
        return result;
    }

    @Override
    public Command command() {
        return Command.FLUSH;
    }

    @Override
    public long offset() {
        return 0;
    }

    @Override
    public long length() {
        return 0;
    }

    @Override
    public boolean fua() {
        return false;
    }

    @Override
    public boolean mayTrim() {
        return false;
    }

    @Override
    public boolean fastZero() {
        return false;
    }

    @Override
    public MemorySegment buffer() {
        return null;
    }

    @Override
    public long address() {
        return 0;
    }

    @Override
    public ExtentSink extents() {
        return null;
    }

    @Override
    public void tag(long value) {
        tag = value;
    }

    @Override
    public long tag() {
        return tag;
    }

    @Override
    public void complete() {
        result.complete(0);
    }

    @Override
    public void fail(int errno) {
        result.complete(errno);
    }
}

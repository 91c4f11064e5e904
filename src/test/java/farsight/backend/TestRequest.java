package farsight.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** A request as a server would make it, that can be waited for. */
final class TestRequest implements Request {
    private final Command command;
    private final long offset;
    private final long length;
    private final MemorySegment buffer;
    private final ExtentSink extents;
    private final CompletableFuture<Integer> result = new CompletableFuture<>();
    private final AtomicInteger completions = new AtomicInteger();
    private boolean fua;
    private boolean mayTrim;
    private long tag;

    TestRequest(Command command, long offset, long length, MemorySegment buffer, ExtentSink extents) {
        this.command = command;
        this.offset = offset;
        this.length = length;
        this.buffer = buffer;
        this.extents = extents;
    }

    static TestRequest read(Arena arena, long offset, long length) {
        return new TestRequest(Command.READ, offset, length, arena.allocate(length, 1), null);
    }

    static TestRequest write(Arena arena, long offset, byte[] bytes) {
        MemorySegment memory = arena.allocate(bytes.length, 1);
        memory.copyFrom(MemorySegment.ofArray(bytes));
        return new TestRequest(Command.WRITE, offset, bytes.length, memory, null);
    }

    static TestRequest of(Command command, long offset, long length) {
        return new TestRequest(command, offset, length, null, null);
    }

    TestRequest stable() {
        fua = true;
        return this;
    }

    TestRequest trimming() {
        mayTrim = true;
        return this;
    }

    /** Submits it and waits: 0, or the errno that it failed with. */
    int run(AsyncBlockDevice device) {
        device.submit(this);
        device.submitted();
        return await();
    }

    int await() {
        try {
            return result.get(30, TimeUnit.SECONDS);
        } catch (Exception e) {
            throw new AssertionError(command + " at " + offset + " of " + length + " was never completed", e);
        }
    }

    int completions() {
        return completions.get();
    }

    @Override
    public Command command() {
        return command;
    }

    @Override
    public long offset() {
        return offset;
    }

    @Override
    public long length() {
        return length;
    }

    @Override
    public boolean fua() {
        return fua;
    }

    @Override
    public boolean mayTrim() {
        return mayTrim;
    }

    @Override
    public boolean fastZero() {
        return false;
    }

    @Override
    public MemorySegment buffer() {
        return buffer;
    }

    @Override
    public long address() {
        return buffer == null ? 0 : buffer.address();
    }

    @Override
    public ExtentSink extents() {
        return extents;
    }

    @Override
    public void tag(long tag) {
        this.tag = tag;
    }

    @Override
    public long tag() {
        return tag;
    }

    @Override
    public void complete() {
        completions.incrementAndGet();
        result.complete(0);
    }

    @Override
    public void fail(int errno) {
        completions.incrementAndGet();
        result.complete(errno);
    }
}

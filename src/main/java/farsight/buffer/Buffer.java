package farsight.buffer;

import java.lang.foreign.MemorySegment;

/** Page-aligned memory of a {@link Pool}, with a count of its owners. Belongs to the pool's thread. */
public final class Buffer {
    private final Pool pool;
    private final MemorySegment memory;
    private final long address;
    private int owners;
    Buffer next;

    Buffer(Pool pool, MemorySegment memory) {
        this.pool = pool;
        this.memory = memory;
        this.address = memory.address();
    }

    /** All of it; the content is whatever the last user left. */
    public MemorySegment memory() {
        return memory;
    }

    public long address() {
        return address;
    }

    /** Bytes. */
    public int capacity() {
        return (int) memory.byteSize();
    }

    /** One more owner. */
    public void retain() {
        assert owners > 0;
        owners++;
    }

    /** Whether somebody beside the caller owns it. */
    public boolean shared() {
        return owners > 1;
    }

    /** One owner fewer; the last one gives it back to the pool. */
    public void release() {
        assert owners > 0 : "released once too often";
        if (--owners == 0) {
            pool.giveBack(this);
        }
    }

    void taken() {
        assert owners == 0;
        owners = 1;
    }
}

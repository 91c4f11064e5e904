package farsight.backend;

import java.lang.foreign.MemorySegment;

/**
 * One request to an {@link AsyncBlockDevice}. The object, and its memory, belong to the device from
 * {@link AsyncBlockDevice#submit} until it calls {@link #complete} or {@link #fail}; after that call both are used again
 * for something else and must not be touched. The memory stays valid until then even when the client is gone.
 */
public interface Request {

    /** What a request asks for (proto.md, "Request types"). */
    enum Command {
        READ,
        WRITE,
        FLUSH,
        TRIM,
        WRITE_ZEROES,
        CACHE,
        EXTENTS
    }

    Command command();

    /** First byte of the range; 0 for FLUSH. */
    long offset();

    /** Bytes; 0 for FLUSH. For READ and WRITE at most {@link BlockSizes#maximum} and 2^31-1. */
    long length();

    /** Whether the data must be stable before completion (NBD_CMD_FLAG_FUA). Only set when FUA is advertised. */
    boolean fua();

    /** Whether WRITE_ZEROES may leave a hole (NBD_CMD_FLAG_NO_HOLE was not set). */
    boolean mayTrim();

    /** Whether WRITE_ZEROES is to fail with ENOTSUP when it is not faster than writing (NBD_CMD_FLAG_FAST_ZERO). */
    boolean fastZero();

    /**
     * Off-heap memory of exactly {@link #length} bytes to read into (READ) or to write from (WRITE); null otherwise.
     * Allocates a view: code that must not allocate uses {@link #address}.
     */
    MemorySegment buffer();

    /** The address of the first byte of {@link #buffer}, for native calls; 0 when there is none. */
    long address();

    /**
     * Answers READ with memory of the device's own in place of {@link #buffer}; {@link #complete} follows. The memory stays
     * where it is until {@link Device#close}, and is sent as it is then. Only before {@link AsyncBlockDevice#submit}
     * returns, on its thread.
     *
     * @return false when the content is wanted in the buffer all the same
     */
    default boolean lend(long address) {
        return false;
    }

    /** Where the device puts its answer to EXTENTS, before completing; null otherwise. */
    ExtentSink extents();

    /** A number that the device may keep with the request, for example its slot in a table of its own. */
    void tag(long tag);

    /** What {@link #tag(long)} was given last; 0 at submit. */
    long tag();

    /** Success. Any thread, exactly once. */
    void complete();

    /**
     * Failure. Any thread, exactly once instead of {@link #complete}.
     *
     * @param errno a Linux error number, positive; those that NBD has no value for reach the client as NBD_EIO
     *     (proto.md, "Error values")
     */
    void fail(int errno);
}

package farsight.backend;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/**
 * Storage that is read and written by blocking calls: the simplest way to make a disk. Three methods are enough;
 * overriding another one is what advertises it to clients.
 *
 * <p>Calls come from threads that may block, never from an event loop, at most {@link #concurrency} at a time. Offsets
 * and lengths have been checked against {@link #size} and {@link #blockSizes}, and writes against {@link #readOnly}.
 * Segments are off-heap, exactly as long as the request, and valid only during the call. An {@link IOException} is the
 * failure of that one request: NBD_EIO, or what a {@link DeviceException} names.
 */
public non-sealed interface BlockDevice extends Device {

    /** Fills {@code target} with the bytes from {@code offset} on. */
    void read(MemorySegment target, long offset) throws IOException;

    /** Stores {@code source} at {@code offset}. */
    void write(MemorySegment source, long offset) throws IOException;

    /** Like {@link #write}, and stable when it returns (proto.md, NBD_CMD_FLAG_FUA). */
    default void writeStable(MemorySegment source, long offset) throws IOException {
        write(source, offset);
        flush();
    }

    /** Makes all writes that have returned stable (proto.md, NBD_CMD_FLUSH). */
    default void flush() throws IOException {}

    /** Says that the content of a range is no longer needed (proto.md, NBD_CMD_TRIM); reading it may give anything. */
    default void trim(long offset, long length) throws IOException {}

    /**
     * Makes a range read as zeroes (proto.md, NBD_CMD_WRITE_ZEROES).
     *
     * @param mayTrim whether the range may become a hole (NBD_CMD_FLAG_NO_HOLE was not set)
     */
    default void zero(long offset, long length, boolean mayTrim) throws IOException {
        throw new UnsupportedOperationException("zero is not overridden");
    }

    /** Says that a range will be read soon (proto.md, NBD_CMD_CACHE). */
    default void cache(long offset, long length) throws IOException {}

    /** Tells which parts of a range are allocated and which read as zeroes (proto.md, "base:allocation"). */
    default void extents(long offset, long length, ExtentSink sink) throws IOException {
        sink.extent(length, false, false);
    }

    /** How many calls may run at the same time, at least 1. With 1 the server never calls twice at once. */
    default int concurrency() {
        return 1;
    }

    @Override
    default Set<Feature> features() {
        return Feature.overriddenBy(getClass());
    }
}

package farsight.backend;

/** Takes what a storage tells about a range, in ascending order and without gaps, beginning at the asked offset. */
@FunctionalInterface
public interface ExtentSink {
    /**
     * One extent.
     *
     * @param length bytes, at least 1; the last one may reach past the range that was asked for
     * @param hole true when no storage is allocated for it (proto.md, NBD_STATE_HOLE)
     * @param zero true when it reads as zeroes (proto.md, NBD_STATE_ZERO)
     * @return whether more extents are wanted; when false the storage stops
     */
    boolean extent(long length, boolean hole, boolean zero);

    /**
     * One extent of storage that is {@link Feature#DEPTH made of layers}.
     *
     * @param depth which layer it comes from: 1 the uppermost that keeps data, 2 what is below that, and so on; 0 none,
     *     because nothing is allocated for it anywhere
     */
    default boolean extent(long length, boolean hole, boolean zero, int depth) {
        return extent(length, hole, zero);
    }
}

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
}

package farsight.client;

/**
 * A part of an export that is of one kind throughout.
 *
 * @param offset bytes
 * @param length bytes, more than 0
 * @param flags what the context says of it; 64 bits only with extended headers
 */
public record Extent(long offset, long length, long flags) {
    /** For {@code base:allocation}: nothing is stored for it. */
    public static final long HOLE = 1;

    /** For {@code base:allocation}: it reads as zeroes. */
    public static final long ZERO = 2;

    public boolean isHole() {
        return (flags & HOLE) != 0;
    }

    public boolean isZero() {
        return (flags & ZERO) != 0;
    }

    long end() {
        return offset + length;
    }
}

package farsight.client;

import java.io.IOException;

/** Cuts a source into pieces to copy, data in requests of one size and zeroes in long stretches. Any thread. */
final class CopyPlan {
    /** Fits into 32 bits, and is a multiple of every block size. */
    private static final long LONGEST_ZEROES = 1L << 30;

    private final CopySide source;
    private final long size;
    private final int requestSize;
    private final long alignment;
    private long at;
    private boolean zero;
    private long end;
    private volatile boolean stopped;

    /**
     * @param size bytes from the start on, which is all that is planned for
     * @param alignment what pieces are multiples of, but for the last; a power of two
     */
    CopyPlan(CopySide source, long size, int requestSize, long alignment) {
        this.source = source;
        this.size = size;
        this.requestSize = requestSize;
        this.alignment = alignment;
    }

    record Piece(long offset, long length, boolean zero) {}

    /** The next piece, or null at the end. */
    synchronized Piece next() throws IOException {
        if (stopped || at >= end && !advance() || stopped) {
            return null;
        }
        // Requests end at multiples of their size, so that few cross a boundary of the storage.
        long length = zero ? LONGEST_ZEROES : requestSize - at % requestSize;
        Piece piece = new Piece(at, Math.min(length, end - at), zero);
        at += piece.length();
        return piece;
    }

    /** Finds the next stretch. Its end is moved so that blocks which are partly data are data. */
    private boolean advance() throws IOException {
        if (at >= size) {
            return false;
        }
        CopySide.Stretch stretch = source.stretch(at);
        if (stretch.end() <= at) {
            throw new IOException(source.place + ": its extents do not get on at offset " + at);
        }
        zero = stretch.zero();
        end = Math.min(stretch.end(), size);
        if (end < size) {
            end = zero ? end / alignment * alignment : Math.min(size, (end + alignment - 1) / alignment * alignment);
        }
        if (end <= at) {
            zero = false;
            end = Math.min(size, at + alignment);
        }
        return true;
    }

    /** Nothing more comes: the copy has failed. Waits for nobody, who may wait for an answer that the caller receives. */
    void stop() {
        stopped = true;
    }
}

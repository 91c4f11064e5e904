package farsight.client;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** A file or an export that is copied from or to. Methods are for one thread at a time unless they say otherwise. */
abstract sealed class CopySide implements AutoCloseable permits FileSide, NbdSide, NewFile {
    /** As the user wrote it, for messages. */
    final String place;

    CopySide(String place) {
        this.place = place;
    }

    /** Bytes. */
    abstract long size();

    /** What offsets and lengths of requests are multiples of, but for the end. */
    abstract int alignment();

    /** A stretch of one kind: from where it was asked for to its end. */
    record Stretch(boolean zero, long end) {}

    /** What is known of the bytes from an offset on. */
    abstract Stretch stretch(long offset) throws IOException;

    /** Fills the segment. Any thread. */
    abstract void read(MemorySegment target, long offset) throws IOException;

    abstract void flush() throws IOException;

    @Override
    public abstract void close();
}

package farsight.backend.layer;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** What an overlay is kept in. Any thread; whole transfers or an exception. */
interface Disk extends OverlayCare.Image, AutoCloseable {
    void read(MemorySegment target, long offset) throws IOException;

    /** Makes a range read as zeroes, without taking space. */
    void punch(long offset, long length) throws IOException;

    /** What is added reads as zeroes. */
    void truncate(long size) throws IOException;

    /** The first byte from an offset on that is no hole; {@link Long#MAX_VALUE} for none. */
    long data(long offset) throws IOException;

    /** The first byte of a hole from an offset on. */
    long hole(long offset) throws IOException;

    @Override
    void close();
}

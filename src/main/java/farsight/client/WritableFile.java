package farsight.client;

import java.lang.foreign.MemorySegment;

/** A file that an export is copied to. */
interface WritableFile {
    /**
     * For one thread at a time.
     *
     * @param zeroes memory of zeroes, for files that have no holes; of regular ones null
     */
    FileWriter writer(MemorySegment zeroes);
}

package farsight.client;

import java.io.IOException;

/** Puts data into a file that is the target of a copy. One thread at a time; several writers may write to one file. */
interface FileWriter {
    /** Writes what is at the front of some memory. */
    void write(Memory memory, int length, long offset) throws IOException;

    /** Makes a range zeroes, as a hole if possible. */
    void zero(long offset, long length) throws IOException;
}

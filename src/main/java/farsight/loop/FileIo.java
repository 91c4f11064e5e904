package farsight.loop;

/**
 * Files and block devices by a loop's own ring. What is started here is completed on the loop, in a later turn; the memory
 * of a read or write stays untouched by others until then. Loop thread only.
 */
public interface FileIo {
    /** An operation to start something with; {@link #giveBack} it when it is over. */
    FileOperation take(FileOperation.Owner owner, Object request);

    void giveBack(FileOperation operation);

    /** Reads at an offset: {@code length} from 1 to 1 GiB. The result is that of pread(2), or a negated errno. */
    void read(FileOperation operation, int fd, long address, int length, long offset);

    /** Writes at an offset; {@code stable} before it completes (RWF_DSYNC). The result is that of pwrite(2). */
    void write(FileOperation operation, int fd, long address, int length, long offset, boolean stable);

    /** Makes what was written stable: fdatasync(2). */
    void sync(FileOperation operation, int fd);

    /** Makes a range of a file a hole, or zeroes that stay allocated: fallocate(2). */
    void zero(FileOperation operation, int fd, boolean hole, long offset, long length);
}

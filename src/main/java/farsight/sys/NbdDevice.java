package farsight.sys;

import farsight.bindings.linux.Linux;
import java.time.Duration;

/**
 * The kernel's block device for NBD, by its ioctl interface (linux/nbd.h, drivers/block/nbd.c). The kernel remembers
 * which thread gave the first socket and takes the others and {@link #run} from that one only.
 */
public final class NbdDevice implements AutoCloseable {
    public static final int EBUSY = Linux.EBUSY();
    public static final int EPERM = Linux.EPERM();
    public static final int EACCES = Linux.EACCES();

    private final String path;
    private final int fd;

    private NbdDevice(String path, int fd) {
        this.path = path;
        this.fd = fd;
    }

    /** Opens a device such as /dev/nbd0. */
    public static NbdDevice open(String path) throws ErrnoException {
        return new NbdDevice(path, Files.open(path, Files.READ_WRITE));
    }

    /** Whether the path is a block device at all. */
    public boolean isBlockDevice() throws ErrnoException {
        return Files.kind(fd).isBlockDevice();
    }

    /** Adds a connected socket; EBUSY when somebody else has the device. The kernel takes a reference of its own. */
    public void addSocket(int socket) throws ErrnoException {
        call("NBD_SET_SOCK", Linux.NBD_SET_SOCK(), socket);
    }

    public void blockSize(int bytes) throws ErrnoException {
        call("NBD_SET_BLKSIZE", Linux.NBD_SET_BLKSIZE(), bytes);
    }

    public void sizeInBlocks(long blocks) throws ErrnoException {
        call("NBD_SET_SIZE_BLOCKS", Linux.NBD_SET_SIZE_BLOCKS(), blocks);
    }

    /** @param flags NBD_FLAG_* as the server advertised them */
    public void flags(int flags) throws ErrnoException {
        call("NBD_SET_FLAGS", Linux.NBD_SET_FLAGS(), flags);
    }

    /** After which the kernel gives a request up; zero for never. The kernel counts in seconds. */
    public void timeout(Duration timeout) throws ErrnoException {
        call("NBD_SET_TIMEOUT", Linux.NBD_SET_TIMEOUT(), Math.ceilDiv(timeout.toMillis(), 1000));
    }

    /** Serves the device until it is disconnected or its sockets are gone. Blocks: for a platform thread. */
    public void run() throws ErrnoException {
        call("NBD_DO_IT", Linux.NBD_DO_IT(), 0);
    }

    /** Tells the server goodbye; {@link #run} then returns. Any thread. */
    public void disconnect() throws ErrnoException {
        call("NBD_DISCONNECT", Linux.NBD_DISCONNECT(), 0);
    }

    /** Lets go of sockets that were added; only for a device that is ours. */
    public void clear() throws ErrnoException {
        call("NBD_CLEAR_QUE", Linux.NBD_CLEAR_QUE(), 0);
        call("NBD_CLEAR_SOCK", Linux.NBD_CLEAR_SOCK(), 0);
    }

    /** Writes everything that the kernel still has in memory for this device to the server. */
    public void sync() throws ErrnoException {
        call("BLKFLSBUF", Linux.BLKFLSBUF(), 0);
    }

    private void call(String what, long request, long argument) throws ErrnoException {
        Ioctl.call(what + " on " + path, fd, request, argument);
    }

    @Override
    public void close() {
        Files.close(fd);
    }
}

package farsight.sys;

import static farsight.sys.ErrnoException.check;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.open_how;
import farsight.bindings.linux.stat;
import farsight.bindings.linux.statfs;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Regular files and block devices by their descriptors (open(2), pread(2), fallocate(2), ioctl_... of linux/fs.h). */
public final class Files {
    public static final int READ_ONLY = Linux.O_RDONLY();
    public static final int READ_WRITE = Linux.O_RDWR();
    public static final int CREATE = Linux.O_CREAT();
    public static final int EXCLUSIVE = Linux.O_EXCL();
    /** Past the page cache: memory, offsets and lengths must be aligned. */
    public static final int DIRECT = Linux.O_DIRECT();

    public static final int EOPNOTSUPP = Linux.EOPNOTSUPP();
    public static final int EINTR = Linux.EINTR();
    public static final int ENXIO = Linux.ENXIO();
    public static final int ENOENT = Linux.ENOENT();
    public static final int EXDEV = Linux.EXDEV();
    public static final int ELOOP = Linux.ELOOP();
    public static final int ENOSYS = Linux.ENOSYS();
    public static final int EACCES = Linux.EACCES();
    public static final int EROFS = Linux.EROFS();
    public static final int EINVAL = Linux.EINVAL();
    public static final int ENOTTY = Linux.ENOTTY();
    public static final int EIO = Linux.EIO();

    private static final Call OPEN = Native.call("open", 3);
    private static final Call SYSCALL_OPENAT2 = Native.call("syscall", 5);
    private static final Call PREAD = Native.call("pread", 4);
    private static final Call PREADV2 = Native.call("preadv2", 5);
    private static final Call PWRITE = Native.call("pwrite", 4);
    private static final Call FDATASYNC = Native.call("fdatasync", 1);
    private static final Call FALLOCATE = Native.call("fallocate", 4);
    private static final Call FADVISE = Native.call("posix_fadvise", 4);
    private static final Call FTRUNCATE = Native.call("ftruncate", 2);
    private static final Call LSEEK = Native.call("lseek", 3);
    private static final Call FSTAT = Native.call("fstat", 2);
    private static final Call FSTATFS = Native.call("fstatfs", 2);

    private static final int MODE = 0600;
    private static final int TYPE_MASK = Linux.S_IFMT();

    private Files() {}

    // ---- data path: no allocation, -errno on failure -------------------------------------------------------------

    /** Bytes read, 0 at the end of the file, or {@code -errno}. */
    public static long pread(CallState state, int fd, long address, long length, long offset) {
        try {
            return state.check(PREAD.invoke(state, fd, address, length, offset));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /**
     * Reads what the page cache has, without waiting for a disk (RWF_NOWAIT).
     *
     * @return bytes, maybe fewer than asked; -EAGAIN when the first is not there, -EOPNOTSUPP when it cannot be known
     */
    public static long readCached(CallState state, int fd, IoVec into, long offset) {
        int flags = Linux.RWF_NOWAIT();
        try {
            return state.check(PREADV2.invoke(state, fd, into.address(), into.count(), offset, flags));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Bytes written, or {@code -errno}. */
    public static long pwrite(CallState state, int fd, long address, long length, long offset) {
        try {
            return state.check(PWRITE.invoke(state, fd, address, length, offset));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Makes what was written stable, with the metadata that reading it back needs. 0 or {@code -errno}. */
    public static int fdatasync(CallState state, int fd) {
        try {
            return state.check((int) FDATASYNC.invoke(state, fd));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Makes a range of a file a hole. 0 or {@code -errno}. */
    public static int punchHole(CallState state, int fd, long offset, long length) {
        return fallocate(state, fd, zeroMode(true), offset, length);
    }

    /** Makes a range of a file read as zeroes and stay allocated. 0 or {@code -errno}. */
    public static int zeroRange(CallState state, int fd, long offset, long length) {
        return fallocate(state, fd, zeroMode(false), offset, length);
    }

    /** The mode of fallocate(2) for a hole, or for zeroes that stay allocated. */
    static int zeroMode(boolean hole) {
        return Linux.FALLOC_FL_KEEP_SIZE() | (hole ? Linux.FALLOC_FL_PUNCH_HOLE() : Linux.FALLOC_FL_ZERO_RANGE());
    }

    private static int fallocate(CallState state, int fd, int mode, long offset, long length) {
        try {
            return state.check((int) FALLOCATE.invoke(state, fd, mode, offset, length));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Starts to read a range into the page cache. 0 or a positive errno, as posix_fadvise(2) returns it. */
    public static int willNeed(CallState state, int fd, long offset, long length) {
        try {
            return (int) FADVISE.invoke(state, fd, offset, length, Linux.POSIX_FADV_WILLNEED());
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Tells a block device that a range is not needed (BLKDISCARD). 0 or {@code -errno}. */
    public static int discard(CallState state, int fd, MemorySegment range, long offset, long length) {
        range.setAtIndex(ValueLayout.JAVA_LONG, 0, offset);
        range.setAtIndex(ValueLayout.JAVA_LONG, 1, length);
        return Ioctl.call(state, fd, Linux.BLKDISCARD(), range.address());
    }

    /** Makes a range of a block device read as zeroes (BLKZEROOUT). 0 or {@code -errno}. */
    public static int zeroOut(CallState state, int fd, MemorySegment range, long offset, long length) {
        range.setAtIndex(ValueLayout.JAVA_LONG, 0, offset);
        range.setAtIndex(ValueLayout.JAVA_LONG, 1, length);
        return Ioctl.call(state, fd, Linux.BLKZEROOUT(), range.address());
    }

    /** The next offset with data (SEEK_DATA), or {@code -errno}; -ENXIO when there is none. */
    public static long seekData(CallState state, int fd, long offset) {
        return seek(state, fd, offset, Linux.SEEK_DATA());
    }

    /** The next offset of a hole (SEEK_HOLE), which the end of the file is as well, or {@code -errno}. */
    public static long seekHole(CallState state, int fd, long offset) {
        return seek(state, fd, offset, Linux.SEEK_HOLE());
    }

    private static long seek(CallState state, int fd, long offset, int whence) {
        try {
            return state.check(LSEEK.invoke(state, fd, offset, whence));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    // ---- set-up --------------------------------------------------------------------------------------------------

    /** Opens a path; the descriptor is closed on exec. A file that is created belongs to its user alone. */
    public static int open(String path, int flags) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            long name = arena.allocateFrom(path).address();
            int all = flags | Linux.O_CLOEXEC();
            return check("open " + path, state.check((int) OPEN.invoke(state, name, all, MODE)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /**
     * Opens a relative path below a directory. Neither {@code ..} nor a symbolic link leads out of it (openat2(2),
     * RESOLVE_BENEATH).
     *
     * @throws ErrnoException EXDEV for a path that leads out, ENOSYS on kernels before 5.6
     */
    public static int openBeneath(int directory, String path, int flags) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment how = arena.allocate(open_how.layout());
            open_how.flags(how, Integer.toUnsignedLong(flags | Linux.O_CLOEXEC()));
            open_how.mode(how, (flags & CREATE) == 0 ? 0 : MODE);
            open_how.resolve(how, Linux.RESOLVE_BENEATH() | Linux.RESOLVE_NO_MAGICLINKS());
            long name = arena.allocateFrom(path).address();
            long number = Linux.SYS_openat2();
            long result = state.check(
                    SYSCALL_OPENAT2.invoke(state, number, (long) directory, name, how.address(), how.byteSize()));
            return (int) check("open " + path, result);
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** A directory, to open files below it. */
    public static int openDirectory(String path) throws ErrnoException {
        return open(path, Linux.O_PATH() | Linux.O_DIRECTORY());
    }

    /**
     * What kind of thing a descriptor is, and how large.
     *
     * @param disk the number (dev_t) of the block device that it is, or that its file system is on
     */
    public record Kind(boolean isBlockDevice, boolean isRegular, long size, int blockSize, long disk) {}

    /** Looks at an open file or block device; the block size is that of direct access to a device, else 512. */
    public static Kind kind(int fd) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment status = arena.allocate(stat.layout());
            check("fstat", state.check((int) FSTAT.invoke(state, fd, status.address())));
            int type = stat.st_mode(status) & TYPE_MASK;
            if (type != Linux.S_IFBLK()) {
                return new Kind(false, type == Linux.S_IFREG(), stat.st_size(status), 512, stat.st_dev(status));
            }
            MemorySegment answer = arena.allocate(ValueLayout.JAVA_LONG);
            check("BLKGETSIZE64", Ioctl.call(state, fd, Linux.BLKGETSIZE64(), answer.address()));
            long size = answer.get(ValueLayout.JAVA_LONG, 0);
            check("BLKSSZGET", Ioctl.call(state, fd, Linux.BLKSSZGET(), answer.address()));
            return new Kind(true, false, size, answer.get(ValueLayout.JAVA_INT, 0), stat.st_rdev(status));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /**
     * Whether a file is on one of those local file systems whose buffered writes never promise not to wait
     * (RWF_NOWAIT), though they hardly ever do: ext2, ext3, ext4 and tmpfs (fstatfs(2), linux/magic.h). Others can promise
     * it, wait for a network, or are not known.
     */
    public static boolean isPlainlyLocal(int fd) {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment status = arena.allocate(statfs.layout());
            if (state.check((int) FSTATFS.invoke(state, fd, status.address())) != 0) {
                return false;
            }
            long type = statfs.f_type(status);
            return type == Linux.EXT4_SUPER_MAGIC() || type == Linux.TMPFS_MAGIC();
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Sets the size of a file; what is added is a hole. */
    public static void truncate(int fd, long size) throws ErrnoException {
        try (CallState state = CallState.open()) {
            check("ftruncate", state.check((int) FTRUNCATE.invoke(state, fd, size)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    public static void close(int fd) {
        Process.close(fd);
    }
}

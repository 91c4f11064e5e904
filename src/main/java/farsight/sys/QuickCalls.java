package farsight.sys;

import static farsight.sys.ErrnoException.check;

import farsight.bindings.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * The calls of a client that is started, copies and ends. All are linked in one shape, six words in and one out, because
 * each further shape costs some 5 ms at start, and a whole copy takes 200. That is sound for functions whose parameters
 * are whole numbers and pointers: both ABIs that Linux JVMs run on pass them in registers of a word, and a function does
 * not look at those that it has no parameter for. An int comes back in the lower half of a word.
 */
public final class QuickCalls {
    public static final int EAGAIN = Linux.EAGAIN();
    public static final int ECONNRESET = Linux.ECONNRESET();
    public static final int EINTR = Linux.EINTR();
    public static final int EINVAL = Linux.EINVAL();
    public static final int EIO = Linux.EIO();
    public static final int ENOENT = Linux.ENOENT();
    public static final int ENOSYS = Linux.ENOSYS();
    public static final int ENXIO = Linux.ENXIO();
    public static final int EOPNOTSUPP = Linux.EOPNOTSUPP();
    public static final int EOVERFLOW = Linux.EOVERFLOW();
    public static final int EPERM = Linux.EPERM();
    public static final int EPIPE = Linux.EPIPE();
    public static final int EXDEV = Linux.EXDEV();
    public static final int READ_ONLY = Linux.O_RDONLY();
    public static final int READ_WRITE = Linux.O_RDWR();
    public static final int CREATE = Linux.O_CREAT();

    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG;
    private static final Linker LINKER = Linker.nativeLinker();

    @SuppressWarnings("restricted")
    private static final MethodHandle CALL = LINKER.downcallHandle(
            FunctionDescriptor.of(WORD, WORD, WORD, WORD, WORD, WORD, WORD), Linker.Option.captureCallState("errno"));

    private static final MemorySegment OPEN = function("open");
    private static final MemorySegment CLOSE = function("close");
    private static final MemorySegment LSEEK = function("lseek");
    private static final MemorySegment PREAD = function("pread");
    private static final MemorySegment PWRITE = function("pwrite");
    private static final MemorySegment FTRUNCATE = function("ftruncate");
    private static final MemorySegment FALLOCATE = function("fallocate");
    private static final MemorySegment FDATASYNC = function("fdatasync");
    private static final MemorySegment MMAP = function("mmap");
    private static final MemorySegment MUNMAP = function("munmap");
    private static final MemorySegment IOCTL = function("ioctl");
    private static final MemorySegment SENDFILE = function("sendfile");
    private static final MemorySegment SPLICE = function("splice");
    private static final MemorySegment PIPE2 = function("pipe2");
    private static final MemorySegment READ = function("read");
    private static final MemorySegment COPY_FILE_RANGE = function("copy_file_range");
    private static final MemorySegment SOCKET = function("socket");
    private static final MemorySegment CONNECT = function("connect");
    private static final MemorySegment GETSOCKOPT = function("getsockopt");
    private static final MemorySegment SETSOCKOPT = function("setsockopt");
    private static final MemorySegment FCNTL = function("fcntl");
    private static final MemorySegment POLL = function("poll");
    private static final MemorySegment RECV = function("recv");
    private static final MemorySegment SEND = function("send");
    private static final MemorySegment SENDMSG = function("sendmsg");
    private static final MemorySegment SHUTDOWN = function("shutdown");
    private static final MemorySegment ISATTY = function("isatty");

    /** struct pollfd: a descriptor, two sets of events. */
    private static final int POLLFD_SIZE = 8;

    private static final int MODE = 0666;

    private QuickCalls() {}

    private static MemorySegment function(String name) {
        return LINKER.defaultLookup()
                .find(name)
                .orElseThrow(() -> new UnsatisfiedLinkError("libc has no function " + name));
    }

    private static long call(CallState state, MemorySegment function, long a, long b, long c, long d, long e, long f) {
        try {
            return (long) CALL.invokeExact(function, state.segment, a, b, c, d, e, f);
        } catch (Throwable impossible) {
            throw Native.impossible(impossible);
        }
    }

    /** For functions that return a long. */
    private static long word(CallState state, MemorySegment function, long a, long b, long c, long d) {
        return state.check(call(state, function, a, b, c, d, 0, 0));
    }

    /** For functions that return an int. */
    private static int number(CallState state, MemorySegment function, long a, long b, long c, long d) {
        return state.check((int) call(state, function, a, b, c, d, 0, 0));
    }

    // ---- files ---------------------------------------------------------------------------------------------------

    /** Opens a path; the descriptor is closed on exec. */
    public static int open(String path, int flags) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            long name = arena.allocateFrom(path).address();
            return check("open " + path, number(state, OPEN, name, flags | Linux.O_CLOEXEC(), MODE, 0));
        }
    }

    /** The size of a file or block device in bytes, or {@code -errno}; -ESPIPE for what has none. */
    public static long size(CallState state, int fd) {
        return word(state, LSEEK, fd, 0, Linux.SEEK_END(), 0);
    }

    /** The next offset with data (SEEK_DATA), or {@code -errno}; -ENXIO when there is none. */
    public static long seekData(CallState state, int fd, long offset) {
        return word(state, LSEEK, fd, offset, Linux.SEEK_DATA(), 0);
    }

    /** The next offset of a hole (SEEK_HOLE), which the end of the file is as well, or {@code -errno}. */
    public static long seekHole(CallState state, int fd, long offset) {
        return word(state, LSEEK, fd, offset, Linux.SEEK_HOLE(), 0);
    }

    public static long pread(CallState state, int fd, long address, long length, long offset) {
        return word(state, PREAD, fd, address, length, offset);
    }

    public static long pwrite(CallState state, int fd, long address, long length, long offset) {
        return word(state, PWRITE, fd, address, length, offset);
    }

    /** Sets the size of a file; what is added is a hole. 0 or {@code -errno}. */
    public static int truncate(CallState state, int fd, long size) {
        return number(state, FTRUNCATE, fd, size, 0, 0);
    }

    /** Makes a range of a file a hole. 0 or {@code -errno}. */
    public static int punchHole(CallState state, int fd, long offset, long length) {
        int mode = Linux.FALLOC_FL_PUNCH_HOLE() | Linux.FALLOC_FL_KEEP_SIZE();
        return number(state, FALLOCATE, fd, mode, offset, length);
    }

    /** Makes a range of a block device read as zeroes (BLKZEROOUT). 0 or {@code -errno}. */
    public static int zeroOut(CallState state, int fd, long offset, long length) {
        try (Arena arena = Arena.ofConfined()) {
            long range =
                    arena.allocateFrom(ValueLayout.JAVA_LONG, offset, length).address();
            return number(state, IOCTL, fd, Integer.toUnsignedLong(Linux.BLKZEROOUT()), range, 0);
        }
    }

    public static int dataSync(CallState state, int fd) {
        return number(state, FDATASYNC, fd, 0, 0, 0);
    }

    /** From a file's page cache to a socket, without a copy in this process. Bytes, 0 at its end, or {@code -errno}. */
    public static long sendFile(CallState state, int socket, int file, MemorySegment offset, long length) {
        return word(state, SENDFILE, socket, file, offset.address(), length);
    }

    /** From file to file within the kernel; both offsets advance. Bytes, 0 at the end, or {@code -errno}. */
    public static long copyRange(
            CallState state, int from, MemorySegment offset, int to, MemorySegment toOffset, long length) {
        return state.check(call(state, COPY_FILE_RANGE, from, offset.address(), to, toOffset.address(), length, 0));
    }

    /**
     * A pipe, closed on exec.
     *
     * @param ends memory of two ints, set to the descriptors to read from and to write to
     * @param size bytes that it should hold; it may hold fewer
     * @return 0 or {@code -errno}
     */
    public static int pipe(CallState state, MemorySegment ends, int size) {
        int result = number(state, PIPE2, ends.address(), Linux.O_CLOEXEC(), 0, 0);
        if (result >= 0) {
            number(state, FCNTL, ends.getAtIndex(ValueLayout.JAVA_INT, 1), Linux.F_SETPIPE_SZ(), size, 0);
        }
        return result;
    }

    /** From a descriptor to a pipe, within the kernel. Bytes, 0 at the end, or {@code -errno}. */
    public static long splice(CallState state, int from, int pipe, long length) {
        return state.check(call(state, SPLICE, from, 0, pipe, 0, length, 0));
    }

    /** From a pipe to an offset of a file, within the kernel; the offset advances. Bytes or {@code -errno}. */
    public static long splice(CallState state, int pipe, int file, MemorySegment offset, long length) {
        return state.check(call(state, SPLICE, pipe, 0, file, offset.address(), length, 0));
    }

    /** Bytes, 0 at the end, or {@code -errno}. */
    public static long read(CallState state, int fd, long address, long length) {
        return word(state, READ, fd, address, length, 0);
    }

    public static void close(int fd) {
        try (CallState state = CallState.open()) {
            number(state, CLOSE, fd, 0, 0, 0);
        }
    }

    /** Whether a descriptor is a terminal. */
    public static boolean isTerminal(int fd) {
        try (CallState state = CallState.open()) {
            return number(state, ISATTY, fd, 0, 0, 0) == 1;
        }
    }

    // ---- memory --------------------------------------------------------------------------------------------------

    /** Like {@link Memory#map}. */
    public static MemorySegment map(long bytes) throws ErrnoException {
        try (CallState state = CallState.open()) {
            int protection = Linux.PROT_READ() | Linux.PROT_WRITE();
            int flags = Linux.MAP_PRIVATE() | Linux.MAP_ANONYMOUS() | Linux.MAP_NORESERVE();
            long address = state.check(call(state, MMAP, 0, bytes, protection, flags, -1, 0));
            if (address < 0) {
                throw new ErrnoException("mmap of " + bytes + " bytes", (int) -address);
            }
            return Native.view(address, bytes);
        }
    }

    /** Gives back what {@link #map} gave. Nothing may use the memory any more. */
    public static void unmap(MemorySegment memory) {
        try (CallState state = CallState.open()) {
            number(state, MUNMAP, memory.address(), memory.byteSize(), 0, 0);
        }
    }

    // ---- sockets -------------------------------------------------------------------------------------------------

    /**
     * A blocking socket connected to an address.
     *
     * @param timeoutMillis how long to wait for the connection; 0 waits as long as the system does
     */
    public static int connect(SocketAddress address, int timeoutMillis) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            int type = Linux.SOCK_STREAM() | Linux.SOCK_CLOEXEC() | (timeoutMillis > 0 ? Linux.SOCK_NONBLOCK() : 0);
            int fd = check("socket", number(state, SOCKET, address.family(), type, 0, 0));
            try {
                MemorySegment encoded = address.encode(arena);
                int result = number(state, CONNECT, fd, encoded.address(), encoded.byteSize(), 0);
                if (result == -Linux.EINPROGRESS()) {
                    result = await(state, arena, fd, Linux.POLLOUT(), timeoutMillis)
                            ? -socketError(state, arena, fd)
                            : -Linux.ETIMEDOUT();
                }
                check("connect to " + address, result);
                int flags = check("fcntl", number(state, FCNTL, fd, Linux.F_GETFL(), 0, 0));
                check("fcntl", number(state, FCNTL, fd, Linux.F_SETFL(), flags & ~Linux.O_NONBLOCK(), 0));
                if (address instanceof SocketAddress.Tcp) {
                    option(
                            state,
                            arena.allocateFrom(ValueLayout.JAVA_INT, 1),
                            fd,
                            Linux.IPPROTO_TCP(),
                            Linux.TCP_NODELAY());
                }
                return fd;
            } catch (ErrnoException e) {
                close(fd);
                throw e;
            }
        }
    }

    private static int socketError(CallState state, Arena arena, int fd) throws ErrnoException {
        MemorySegment error = arena.allocateFrom(ValueLayout.JAVA_INT, 0);
        long length = arena.allocateFrom(ValueLayout.JAVA_INT, Integer.BYTES).address();
        long call = call(state, GETSOCKOPT, fd, Linux.SOL_SOCKET(), Linux.SO_ERROR(), error.address(), length, 0);
        check("getsockopt", state.check((int) call));
        return error.get(ValueLayout.JAVA_INT, 0);
    }

    private static void option(CallState state, MemorySegment value, int fd, int level, int name)
            throws ErrnoException {
        long call = call(state, SETSOCKOPT, fd, level, name, value.address(), value.byteSize(), 0);
        check("setsockopt", state.check((int) call));
    }

    /** Lets blocking calls on a socket return -EAGAIN when nothing moved for so long (SO_RCVTIMEO, SO_SNDTIMEO). */
    public static void patience(int fd, long millis) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment time =
                    arena.allocateFrom(ValueLayout.JAVA_LONG, millis / 1000, millis % 1000 * 1000); // struct timeval
            option(state, time, fd, Linux.SOL_SOCKET(), Linux.SO_RCVTIMEO());
            option(state, time, fd, Linux.SOL_SOCKET(), Linux.SO_SNDTIMEO());
        }
    }

    /** Waits until a descriptor is readable, at its end, or broken; false after the timeout. */
    public static boolean awaitReadable(CallState state, int fd, int timeoutMillis) throws ErrnoException {
        try (Arena arena = Arena.ofConfined()) {
            return await(state, arena, fd, Linux.POLLIN(), timeoutMillis);
        }
    }

    private static boolean await(CallState state, Arena arena, int fd, int events, int timeoutMillis)
            throws ErrnoException {
        MemorySegment poll = arena.allocate(POLLFD_SIZE, Integer.BYTES);
        poll.set(ValueLayout.JAVA_INT, 0, fd);
        poll.set(ValueLayout.JAVA_SHORT, Integer.BYTES, (short) events);
        int result;
        do {
            result = number(state, POLL, poll.address(), 1, timeoutMillis, 0);
        } while (result == -Linux.EINTR());
        return check("poll", result) > 0;
    }

    /**
     * Receives what is there, or waits for all of it: fewer come then only with the end of the stream, a signal or the end
     * of {@link #patience}. Bytes, 0 at the end of the stream, or {@code -errno}.
     */
    public static long receive(CallState state, int fd, long address, long length, boolean all) {
        return word(state, RECV, fd, address, length, all ? Linux.MSG_WAITALL() : 0);
    }

    /** Sends from one piece of memory. Bytes, maybe fewer than asked, or {@code -errno}. */
    public static long send(CallState state, int fd, long address, long length, boolean more) {
        return word(state, SEND, fd, address, length, Linux.MSG_NOSIGNAL() | (more ? Linux.MSG_MORE() : 0));
    }

    /** Sends the unused pieces of a vector in one call. Does not advance it. */
    public static long send(CallState state, int fd, IoVec from) {
        return word(state, SENDMSG, fd, from.message(), Linux.MSG_NOSIGNAL(), 0);
    }

    /** Ends both directions; a thread that waits in a call on this socket returns. */
    public static void shutdown(int fd) {
        try (CallState state = CallState.open()) {
            number(state, SHUTDOWN, fd, Linux.SHUT_RDWR(), 0, 0);
        }
    }

    /** Ends the direction from here; the other stays open. */
    public static void endSending(int fd) {
        try (CallState state = CallState.open()) {
            number(state, SHUTDOWN, fd, Linux.SHUT_WR(), 0, 0);
        }
    }
}

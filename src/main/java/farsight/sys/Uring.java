package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.__kernel_timespec;
import farsight.bindings.linux.io_cqring_offsets;
import farsight.bindings.linux.io_sqring_offsets;
import farsight.bindings.linux.io_uring_cqe;
import farsight.bindings.linux.io_uring_getevents_arg;
import farsight.bindings.linux.io_uring_params;
import farsight.bindings.linux.io_uring_probe;
import farsight.bindings.linux.io_uring_probe_op;
import farsight.bindings.linux.io_uring_rsrc_update;
import farsight.bindings.linux.io_uring_sqe;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/**
 * An io_uring instance (io_uring(7), linux/io_uring.h): operations are written into one ring, {@link #enter} submits them
 * and waits, their results are read from another. After {@link #enable} all methods belong to one thread.
 *
 * <p>Memory that an operation uses belongs to the kernel until its completion has been read.
 */
public final class Uring implements AutoCloseable {
    /** Of a completion's {@link #flags}: more completions of the same operation follow. */
    public static final int MORE = Linux.IORING_CQE_F_MORE();

    // What poll(2) calls events.
    public static final int READABLE = Linux.POLLIN();
    public static final int WRITABLE = Linux.POLLOUT();
    /** The peer sends no more. */
    public static final int ENDED = Linux.POLLRDHUP();
    /** Reported always: an error, or something in the socket's error queue. */
    public static final int ERROR = Linux.POLLERR();
    /** Reported always: error, or both directions hung up. */
    public static final int BROKEN = Linux.POLLERR() | Linux.POLLHUP();

    public static final int ECANCELED = Linux.ECANCELED();
    public static final int EAGAIN = Linux.EAGAIN();
    public static final int EINTR = Linux.EINTR();

    /** Bytes of one read or write at most (MAX_RW_COUNT is 2 GiB less a page). */
    public static final int LARGEST = 1 << 30;

    private static final Call SETUP = Native.call("syscall", 3);
    private static final Call REGISTER = Native.call("syscall", 5);
    private static final Call ENTER = Native.call("syscall", 7);
    private static final long NR_SETUP = Linux.SYS_io_uring_setup();
    private static final long NR_ENTER = Linux.SYS_io_uring_enter();
    private static final long NR_REGISTER = Linux.SYS_io_uring_register();

    /** The best ways to have completions made, the newest kernels' first: 6.1, 5.19, 5.6. */
    private static final int[] WAYS = {
        Linux.IORING_SETUP_SINGLE_ISSUER() | Linux.IORING_SETUP_DEFER_TASKRUN() | Linux.IORING_SETUP_SUBMIT_ALL(),
        Linux.IORING_SETUP_COOP_TASKRUN() | Linux.IORING_SETUP_SUBMIT_ALL(),
        0
    };

    /** CQE_SKIP came with 5.17, later than everything else that is used here. */
    private static final int NEEDED = Linux.IORING_FEAT_SINGLE_MMAP()
            | Linux.IORING_FEAT_NODROP()
            | Linux.IORING_FEAT_EXT_ARG()
            | Linux.IORING_FEAT_CQE_SKIP();

    private static final int[] OPERATIONS = {
        Linux.IORING_OP_POLL_ADD(),
        Linux.IORING_OP_ASYNC_CANCEL(),
        Linux.IORING_OP_READ(),
        Linux.IORING_OP_WRITE(),
        Linux.IORING_OP_FSYNC(),
        Linux.IORING_OP_FALLOCATE()
    };

    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    /** The rings' ends, which the kernel and this thread read of each other. */
    private static final VarHandle END = INT.varHandle();

    private static final long SQE_SIZE = io_uring_sqe.layout().byteSize();
    private static final long CQE_SIZE = io_uring_cqe.layout().byteSize();
    private static final long OPCODE = io_uring_sqe.opcode$offset();
    private static final long SQE_FLAGS = io_uring_sqe.flags$offset();
    private static final long FD = io_uring_sqe.fd$offset();
    private static final long OFFSET = io_uring_sqe.off$offset();
    private static final long ADDRESS = io_uring_sqe.addr$offset();
    private static final long LENGTH = io_uring_sqe.len$offset();
    /** rw_flags, poll32_events, fsync_flags, cancel_flags: one union. */
    private static final long OPERATION_FLAGS = io_uring_sqe.rw_flags$offset();

    private static final long USER_DATA = io_uring_sqe.user_data$offset();
    private static final long RESULT_DATA = io_uring_cqe.user_data$offset();
    private static final long RESULT = io_uring_cqe.res$offset();
    private static final long RESULT_FLAGS = io_uring_cqe.flags$offset();

    private final int fd;
    private final CallState state = CallState.forever();
    private final Arena arena = Arena.ofShared();
    private final MemorySegment argument = arena.allocate(io_uring_getevents_arg.layout());
    private final MemorySegment time = arena.allocate(__kernel_timespec.layout());
    private final MemorySegment rings;
    private final MemorySegment sqes;

    private final long sqHead;
    private final long sqTail;
    private final int sqEntries;
    private final long cqHead;
    private final long cqTail;
    private final int cqMask;
    private final long cqes;

    /** Where the next operation goes; what the kernel knows of is before its own head. */
    private int tail;

    private int head;
    /** What {@link #enter} is called with: the descriptor, or its index among the thread's registered ones. */
    private long enterFd;

    private long enterFlags = Linux.IORING_ENTER_GETEVENTS();

    /**
     * Makes a ring, which is disabled until {@link #enable}.
     *
     * @param operations that fit in before the kernel has to take them; a power of two
     * @throws ErrnoException EPERM or ENOSYS when the system forbids it or has none; ENOTSUP when it is too old
     */
    public Uring(int operations) throws ErrnoException {
        MemorySegment parameters = arena.allocate(io_uring_params.layout());
        fd = setup(parameters, operations);
        enterFd = fd;
        try {
            probe(parameters);
            MemorySegment sq = io_uring_params.sq_off(parameters);
            MemorySegment cq = io_uring_params.cq_off(parameters);
            sqEntries = io_uring_params.sq_entries(parameters);
            int cqEntries = io_uring_params.cq_entries(parameters);
            long sqBytes = Integer.toUnsignedLong(io_sqring_offsets.array(sq)) + sqEntries * 4L;
            long cqBytes = Integer.toUnsignedLong(io_cqring_offsets.cqes(cq)) + cqEntries * CQE_SIZE;
            rings = Memory.share(fd, Math.max(sqBytes, cqBytes), Linux.IORING_OFF_SQ_RING());
            sqes = Memory.share(fd, sqEntries * SQE_SIZE, Linux.IORING_OFF_SQES());
            sqHead = io_sqring_offsets.head(sq);
            sqTail = io_sqring_offsets.tail(sq);
            cqHead = io_cqring_offsets.head(cq);
            cqTail = io_cqring_offsets.tail(cq);
            cqes = io_cqring_offsets.cqes(cq);
            cqMask = cqEntries - 1;
            // Entries are used in their order, so the indirection is set up once.
            for (int i = 0; i < sqEntries; i++) {
                rings.set(INT, io_sqring_offsets.array(sq) + i * 4L, i);
            }
        } catch (ErrnoException e) {
            Process.close(fd);
            arena.close();
            throw e;
        }
    }

    private int setup(MemorySegment parameters, int operations) throws ErrnoException {
        int result = 0;
        for (int way : WAYS) {
            parameters.fill((byte) 0);
            io_uring_params.flags(
                    parameters,
                    way | Linux.IORING_SETUP_R_DISABLED() | Linux.IORING_SETUP_CLAMP() | Linux.IORING_SETUP_CQSIZE());
            // Every connection and every operation on a file may have something to say at once.
            io_uring_params.cq_entries(parameters, operations * 8);
            try {
                long count = operations;
                long address = parameters.address();
                result = (int) state.check(SETUP.invoke(state, NR_SETUP, count, address));
            } catch (Throwable e) {
                throw Native.impossible(e);
            }
            if (result != -Linux.EINVAL()) {
                break;
            }
        }
        if (result < 0) {
            arena.close();
        }
        return ErrnoException.check("io_uring_setup", result);
    }

    private void probe(MemorySegment parameters) throws ErrnoException {
        if ((io_uring_params.features(parameters) & NEEDED) != NEEDED) {
            throw new ErrnoException("io_uring of this kernel", Linux.ENOTSUP());
        }
        int most = 256;
        long head = io_uring_probe.layout().byteSize();
        long each = io_uring_probe_op.layout().byteSize();
        MemorySegment probe = arena.allocate(head + most * each, 8);
        ErrnoException.check("io_uring_register", register(Linux.IORING_REGISTER_PROBE(), probe.address(), most));
        for (int operation : OPERATIONS) {
            MemorySegment answer = probe.asSlice(head + operation * each, each);
            if ((io_uring_probe_op.flags(answer) & Linux.IO_URING_OP_SUPPORTED()) == 0) {
                throw new ErrnoException("operation " + operation + " of io_uring", Linux.ENOTSUP());
            }
        }
    }

    private int register(int what, long address, long count) {
        try {
            long ring = fd;
            long code = what;
            return (int) state.check(REGISTER.invoke(state, NR_REGISTER, ring, code, address, count));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Begins; from now on the ring is the calling thread's. */
    public void enable() throws ErrnoException {
        ErrnoException.check("io_uring_register", register(Linux.IORING_REGISTER_ENABLE_RINGS(), 0, 0));
        MemorySegment update = arena.allocate(io_uring_rsrc_update.layout());
        io_uring_rsrc_update.offset(update, -1);
        io_uring_rsrc_update.data(update, fd);
        // Spares the look-up of the descriptor in every call; kernels before 5.18 cannot.
        if (register(Linux.IORING_REGISTER_RING_FDS(), update.address(), 1) == 1) {
            enterFd = io_uring_rsrc_update.offset(update);
            enterFlags |= Linux.IORING_ENTER_REGISTERED_RING();
        }
    }

    // ---- operations ----------------------------------------------------------------------------------------------

    /**
     * Completes when a descriptor is ready, with the events as the result.
     *
     * @param again whether it goes on to complete for every event, until it completes without {@link #MORE}
     */
    public void poll(int descriptor, int events, boolean again, long userData) {
        long at = operation(Linux.IORING_OP_POLL_ADD(), descriptor, userData);
        sqes.set(INT, at + OPERATION_FLAGS, events);
        sqes.set(INT, at + LENGTH, again ? Linux.IORING_POLL_ADD_MULTI() : 0);
    }

    /** Ends the operation with that user data, which then completes with ECANCELED unless it does otherwise before. */
    public void cancel(long userData, long ignored) {
        long at = operation(Linux.IORING_OP_ASYNC_CANCEL(), -1, ignored);
        sqes.set(BYTE, at + SQE_FLAGS, (byte) Linux.IOSQE_CQE_SKIP_SUCCESS());
        sqes.set(LONG, at + ADDRESS, userData);
    }

    /** Reads at an offset; the result is like that of pread(2), with a negated errno. */
    public void read(int descriptor, long address, int length, long offset, long userData) {
        transfer(Linux.IORING_OP_READ(), descriptor, address, length, offset, 0, userData);
    }

    /** Writes at an offset; {@code stable} makes it like a write to a file that was opened with O_DSYNC. */
    public void write(int descriptor, long address, int length, long offset, boolean stable, long userData) {
        int flags = stable ? Linux.RWF_DSYNC() : 0;
        transfer(Linux.IORING_OP_WRITE(), descriptor, address, length, offset, flags, userData);
    }

    private void transfer(int code, int descriptor, long address, int length, long offset, int flags, long userData) {
        long at = operation(code, descriptor, userData);
        sqes.set(LONG, at + OFFSET, offset);
        sqes.set(LONG, at + ADDRESS, address);
        sqes.set(INT, at + LENGTH, length);
        sqes.set(INT, at + OPERATION_FLAGS, flags);
    }

    /** Like fdatasync(2). */
    public void sync(int descriptor, long userData) {
        long at = operation(Linux.IORING_OP_FSYNC(), descriptor, userData);
        sqes.set(INT, at + OPERATION_FLAGS, Linux.IORING_FSYNC_DATASYNC());
    }

    /** Makes a range a hole, or zeroes that stay allocated: see {@link Files#punchHole}, {@link Files#zeroRange}. */
    public void zero(int descriptor, boolean hole, long offset, long length, long userData) {
        long at = operation(Linux.IORING_OP_FALLOCATE(), descriptor, userData);
        sqes.set(LONG, at + OFFSET, offset);
        sqes.set(LONG, at + ADDRESS, length);
        sqes.set(INT, at + LENGTH, Files.zeroMode(hole));
    }

    /** The next entry, cleared. */
    private long operation(int code, int descriptor, long userData) {
        if (tail - (int) END.getAcquire(rings, sqHead) == sqEntries) {
            submit();
        }
        long at = (tail++ & sqEntries - 1) * SQE_SIZE;
        for (long word = at; word < at + SQE_SIZE; word += 8) {
            sqes.set(LONG, word, 0);
        }
        sqes.set(BYTE, at + OPCODE, (byte) code);
        sqes.set(INT, at + FD, descriptor);
        sqes.set(LONG, at + USER_DATA, userData);
        return at;
    }

    private void submit() {
        do {
            call(0, 0, 0);
        } while (tail - (int) END.getAcquire(rings, sqHead) == sqEntries);
    }

    /** Submits what there is and waits for a completion: so long, or for ever (-1), or not at all (0). */
    public void enter(long nanos) {
        if (nanos > 0) {
            __kernel_timespec.tv_sec(time, nanos / 1_000_000_000);
            __kernel_timespec.tv_nsec(time, nanos % 1_000_000_000);
            io_uring_getevents_arg.ts(argument, time.address());
            call(1, Linux.IORING_ENTER_EXT_ARG(), argument.address());
        } else {
            call(nanos == 0 ? 0 : 1, 0, 0);
        }
    }

    /** What fails (EINTR, ETIME, EBUSY, EAGAIN) fails for a moment: the caller comes again. */
    private void call(long wanted, int flags, long address) {
        END.setRelease(rings, sqTail, tail);
        long count = Integer.toUnsignedLong(tail - (int) END.getAcquire(rings, sqHead));
        long size = address == 0 ? 0 : argument.byteSize();
        long all = enterFlags | flags;
        try {
            long ignored = ENTER.invoke(state, NR_ENTER, enterFd, count, wanted, all, address, size);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    // ---- completions ---------------------------------------------------------------------------------------------

    /** How many completions can be read. */
    public int completions() {
        return (int) END.getAcquire(rings, cqTail) - head;
    }

    /** What the oldest completion's operation was given. */
    public long userData() {
        return rings.get(LONG, completion() + RESULT_DATA);
    }

    /** The oldest completion's result, negative for an error. */
    public int result() {
        return rings.get(INT, completion() + RESULT);
    }

    /** The oldest completion's flags, such as {@link #MORE}. */
    public int flags() {
        return rings.get(INT, completion() + RESULT_FLAGS);
    }

    private long completion() {
        return cqes + (head & cqMask) * CQE_SIZE;
    }

    /** The oldest completion has been read: its place is the kernel's again. */
    public void seen() {
        END.setRelease(rings, cqHead, ++head);
    }

    /** Ends everything that is under way. The memory it used may be freed only if nothing was. */
    @Override
    public void close() {
        Process.close(fd);
        Memory.unmap(sqes);
        Memory.unmap(rings);
        arena.close();
    }
}

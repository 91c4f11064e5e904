package farsight.loop;

import farsight.sys.ErrnoException;
import farsight.sys.Uring;
import java.util.ArrayDeque;
import java.util.Arrays;

/**
 * {@link IoLoop} on io_uring(7): one system call per turn that starts everything new and waits. Sockets tell through it
 * that they are ready, files are read and written by it.
 */
public final class UringLoop extends EventLoop implements FileIo {
    /** What completions of the ring are for. */
    sealed interface Target permits UringChannel, FileOperation, Watch {
        /**
         * @param kind which of the target's operations, {@link #IN} or {@link #OUT}
         * @param flags such as {@link Uring#MORE}
         */
        void completed(int kind, int result, int flags);
    }

    static final int IN = 0;
    static final int OUT = 1;

    private static final int OPERATIONS = 512;

    /** User data of what nobody waits for. */
    private static final long NOBODY = -1;

    private final Uring ring;
    private final ArrayDeque<UringChannel> again = new ArrayDeque<>();
    private final ArrayDeque<Integer> freeSlots = new ArrayDeque<>();

    /** By slot. A slot is used again when nothing can come for it any more. */
    private Target[] targets = new Target[64];

    private int slots;
    private FileOperation freeOperations;
    private int fileOperations;

    /**
     * Starts the thread.
     *
     * @throws ErrnoException when there is no io_uring here, or none that will do
     */
    public UringLoop(String name, LoopOptions options) throws ErrnoException {
        super(name, options);
        try {
            ring = new Uring(OPERATIONS);
        } catch (ErrnoException e) {
            freeAll();
            throw e;
        }
        start();
    }

    @Override
    void begin() {
        try {
            ring.enable();
        } catch (ErrnoException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
        watch(wake().fd(), () -> wake().drain(callState()));
    }

    @Override
    boolean await(long nanos) {
        ring.enter(again.isEmpty() ? nanos : 0);
        return ring.completions() > 0 || !again.isEmpty();
    }

    @Override
    void dispatch() {
        // Those that come while these are dealt with are for the next turn: everybody gets one.
        int channels = again.size();
        for (int left = ring.completions(); left > 0; left--) {
            long userData = ring.userData();
            int result = ring.result();
            int flags = ring.flags();
            ring.seen();
            if (userData != NOBODY) {
                dispatch(targets[(int) userData], (int) (userData >>> 32), result, flags);
            }
        }
        for (; channels > 0; channels--) {
            UringChannel channel = again.poll();
            try {
                channel.again();
            } catch (RuntimeException | AssertionError e) {
                failed(channel, e);
            }
        }
    }

    private static void dispatch(Target target, int kind, int result, int flags) {
        try {
            target.completed(kind, result, flags);
        } catch (RuntimeException | AssertionError e) {
            failed(target, e);
        }
    }

    @Override
    boolean busy() {
        return fileOperations > 0;
    }

    /** The last operations are those that end polls, without which sockets would stay open. */
    @Override
    void end() {
        ring.enter(0);
    }

    @Override
    void free() {
        ring.close();
    }

    // ---- for channels --------------------------------------------------------------------------------------------

    int register(Target target) {
        Integer reused = freeSlots.poll();
        int slot = reused != null ? reused : slots++;
        if (slot == targets.length) {
            targets = Arrays.copyOf(targets, slot * 2);
        }
        targets[slot] = target;
        return slot;
    }

    void forget(int slot) {
        targets[slot] = null;
        freeSlots.add(slot);
    }

    private static long userData(int slot, int kind) {
        return (long) kind << 32 | slot;
    }

    void poll(int fd, int events, boolean again, int slot, int kind) {
        ring.poll(fd, events, again, userData(slot, kind));
    }

    void cancel(int slot, int kind) {
        ring.cancel(userData(slot, kind), NOBODY);
    }

    void again(UringChannel channel) {
        again.add(channel);
    }

    // ---- IoLoop --------------------------------------------------------------------------------------------------

    @Override
    public Channel open(int fd, ChannelHandler handler) {
        return new UringChannel(this, fd, handler);
    }

    @Override
    public Runnable watch(int fd, Runnable ready) {
        return new Watch(fd, ready, false)::end;
    }

    @Override
    public Runnable watchSignals(int fd, Runnable signalled) {
        return new Watch(fd, signalled, true)::end;
    }

    /**
     * Each poll tells once and is then made anew, so that what was left unread is told of again; or one poll tells of
     * everything new.
     */
    final class Watch implements Target {
        private final int fd;
        private final Runnable ready;
        private final int slot = register(this);
        private final boolean signals;
        private boolean polls;
        private boolean ended;

        Watch(int fd, Runnable ready, boolean signals) {
            this.fd = fd;
            this.ready = ready;
            this.signals = signals;
            poll();
        }

        private void poll() {
            polls = true;
            UringLoop.this.poll(fd, Uring.READABLE, signals, slot, IN);
        }

        @Override
        public void completed(int kind, int result, int flags) {
            polls = (flags & Uring.MORE) != 0;
            if (ended) {
                if (!polls) {
                    forget(slot);
                }
                return;
            }
            try {
                ready.run();
            } finally {
                if (!ended && !polls) {
                    poll();
                }
            }
        }

        private void end() {
            if (ended) {
                return;
            }
            ended = true;
            if (polls) {
                cancel(slot, IN);
            } else {
                forget(slot);
            }
        }
    }

    @Override
    public FileIo files() {
        return this;
    }

    // ---- FileIo --------------------------------------------------------------------------------------------------

    @Override
    public FileOperation take(FileOperation.Owner owner, Object request) {
        FileOperation operation = freeOperations;
        if (operation == null) {
            operation = new FileOperation();
            operation.slot(register(operation));
        } else {
            freeOperations = operation.next;
            operation.next = null;
        }
        operation.begin(owner, request);
        fileOperations++;
        return operation;
    }

    @Override
    public void giveBack(FileOperation operation) {
        operation.end();
        operation.next = freeOperations;
        freeOperations = operation;
        fileOperations--;
    }

    @Override
    public void read(FileOperation operation, int fd, long address, int length, long offset) {
        counters().fileOperation();
        ring.read(fd, address, length, offset, userData(operation.slot(), IN));
    }

    @Override
    public void write(FileOperation operation, int fd, long address, int length, long offset, boolean stable) {
        counters().fileOperation();
        ring.write(fd, address, length, offset, stable, userData(operation.slot(), IN));
    }

    @Override
    public void sync(FileOperation operation, int fd) {
        counters().fileOperation();
        ring.sync(fd, userData(operation.slot(), IN));
    }

    @Override
    public void zero(FileOperation operation, int fd, boolean hole, long offset, long length) {
        counters().fileOperation();
        ring.zero(fd, hole, offset, length, userData(operation.slot(), IN));
    }
}

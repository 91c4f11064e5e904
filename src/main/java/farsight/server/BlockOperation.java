package farsight.server;

import farsight.backend.ExtentSink;
import farsight.backend.Request;
import farsight.loop.IoLoop;
import farsight.loop.LoopTask;
import farsight.sys.Native;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A client's request on its way to storage that takes whole blocks only, step by step: first the blocks that it covers
 * wholly, from and to the client's own memory, then those that it covers in part, through a block of memory of its own.
 * Used again and again by one {@link WholeBlocks}. Steps after the first happen on the loop of the client's request.
 */
final class BlockOperation extends LoopTask implements Request {
    private static final Logger LOG = System.getLogger(BlockOperation.class.getName());

    // Where the storage is with what it was asked for.
    private static final int IDLE = 0;
    private static final int SUBMITTING = 1;
    private static final int PENDING = 2;
    private static final int DONE = 3;

    // The parts, in the order of their steps.
    private static final int MIDDLE = 0;
    private static final int HEAD = 1;
    private static final int TAIL = 2;
    private static final int END = 3;

    private final WholeBlocks device;
    private final AtomicInteger stage = new AtomicInteger(IDLE);
    private final ExtentSink sink = this::extent;

    /** What the client asked for. */
    private Request client;

    /** The loop of the client's request; null when it has none, and then steps happen wherever storage completes. */
    private IoLoop loop;

    /** Its range in whole blocks. */
    long first;

    long end;

    /** Blocks of which it changes a part, -1 where it does not; for {@link BlockLocks}. */
    long headBlock;

    long tailBlock;

    /** The ranges of the parts; empty where there is nothing to do. */
    private long middleFrom;

    private long middleEnd;
    private long headEnd;
    private long tailFrom;

    /** Memory for blocks that are covered in part. */
    MemorySegment bounce;

    private int part;
    private boolean throughBounce;
    private int result;
    private long skip;

    // What the storage is asked for now.
    private Command command;
    private long offset;
    private long length;
    private long address;
    private boolean fua;
    private long tag;

    // For BlockLocks and WholeBlocks.
    boolean locked;
    boolean granted;
    long ticket;
    BlockOperation previous;
    BlockOperation following;
    BlockOperation link;
    private BlockOperation firstWaiter;
    private BlockOperation lastWaiter;

    BlockOperation(WholeBlocks device) {
        this.device = device;
    }

    // ---- what is to be done --------------------------------------------------------------------------------------

    private void begin(Request request) {
        client = request;
        loop = request instanceof IoRequest own ? own.loop() : null;
        headBlock = -1;
        tailBlock = -1;
        headEnd = -1;
        tailFrom = -1;
        part = -1;
        throughBounce = false;
        result = 0;
        skip = 0;
        locked = false;
        stage.set(IDLE);
    }

    /** A range of whole blocks, asked for as it is; {@code from} and {@code to} may differ from what the client said. */
    void direct(Request request, long from, long to) {
        begin(request);
        first = from;
        end = to;
        middleFrom = from;
        middleEnd = to;
        // Extents are told from where the client asked.
        skip = Math.max(0, request.offset() - from);
    }

    /**
     * A range that begins or ends within a block.
     *
     * @param roundedFrom the begin of its first block
     * @param roundedTo the end of its last block
     * @param atOnce how many bytes of blocks fit into the bounce memory
     */
    void edges(Request request, long roundedFrom, long roundedTo, int block, int atOnce) {
        begin(request);
        first = roundedFrom;
        end = roundedTo;
        boolean head = request.offset() != roundedFrom;
        boolean tail = request.offset() + request.length() != roundedTo;
        headBlock = head ? roundedFrom : -1;
        tailBlock = tail ? roundedTo - block : -1;
        boolean payload = request.command() != Command.WRITE_ZEROES;
        if (roundedTo - roundedFrom <= (payload ? atOnce : block)) {
            middleFrom = roundedTo;
            middleEnd = roundedTo;
            headEnd = roundedTo;
        } else {
            middleFrom = head ? roundedFrom + block : roundedFrom;
            middleEnd = tail ? roundedTo - block : roundedTo;
            headEnd = head ? middleFrom : -1;
            tailFrom = tail ? middleEnd : -1;
        }
    }

    /** Whether there are blocks that it covers wholly. */
    boolean hasMiddle() {
        return middleFrom < middleEnd;
    }

    boolean changesPart() {
        return headBlock >= 0 || tailBlock >= 0;
    }

    // ---- steps ---------------------------------------------------------------------------------------------------

    /** Goes on until the storage has something to do that takes its time, or all is done. */
    void go() {
        while (next()) {
            stage.set(SUBMITTING);
            try {
                device.storage().submit(this);
            } catch (RuntimeException e) {
                LOG.log(Level.ERROR, command + " failed: " + e, e);
                fail(farsight.backend.Errno.EIO);
            }
            if (stage.compareAndSet(SUBMITTING, PENDING)) {
                return;
            }
        }
        int errno = result;
        Request done = client;
        device.finished(this);
        if (errno == 0) {
            done.complete();
        } else {
            done.fail(errno);
        }
    }

    /** Sets up the next request to the storage; false when there is none. */
    private boolean next() {
        if (result != 0) {
            return false;
        }
        if (throughBounce && command == Command.READ) {
            exchange();
            if (client.command() != Command.READ) {
                ask(Command.WRITE, offset, length, bounce.address(), client.fua());
                return true;
            }
        }
        throughBounce = false;
        while (++part < END) {
            if (part == MIDDLE && middleFrom < middleEnd) {
                boolean payload = client.command() == Command.READ || client.command() == Command.WRITE;
                long memory = payload ? client.address() + middleFrom - client.offset() : 0;
                ask(client.command(), middleFrom, middleEnd - middleFrom, memory, client.fua());
                return true;
            }
            if (part == HEAD && headEnd >= 0) {
                return fetch(first, headEnd);
            }
            if (part == TAIL && tailFrom >= 0) {
                return fetch(tailFrom, end);
            }
        }
        return false;
    }

    private boolean fetch(long from, long to) {
        throughBounce = true;
        ask(Command.READ, from, to - from, bounce.address(), false);
        return true;
    }

    private void ask(Command what, long from, long bytes, long memory, boolean stable) {
        command = what;
        offset = from;
        length = bytes;
        address = memory;
        fua = stable;
        tag = 0;
    }

    /** Moves the client's share of the blocks in the bounce memory, in its direction. */
    private void exchange() {
        long from = Math.max(offset, client.offset());
        long to = Math.min(offset + length, client.offset() + client.length());
        if (client.command() == Command.WRITE_ZEROES) {
            bounce.asSlice(from - offset, to - from).fill((byte) 0);
            return;
        }
        MemorySegment payload = Native.view(client.address() + from - client.offset(), to - from);
        if (client.command() == Command.READ) {
            MemorySegment.copy(bounce, from - offset, payload, 0, to - from);
        } else {
            MemorySegment.copy(payload, 0, bounce, from - offset, to - from);
        }
    }

    /** It may go on, after it had to wait. */
    void resume() {
        if (loop != null) {
            loop.execute(this);
        } else {
            run();
        }
    }

    @Override
    protected void run() {
        go();
        device.storage().submitted();
    }

    private void done(int errno) {
        if (stage.get() == SUBMITTING || stage.get() == PENDING) {
            result = errno;
            if (stage.compareAndSet(SUBMITTING, DONE)) {
                return; // go() is still on some stack, and goes on
            }
            if (stage.compareAndSet(PENDING, DONE)) {
                if (loop == null || loop.inLoop()) {
                    run();
                } else {
                    loop.execute(this);
                }
                return;
            }
        }
        LOG.log(Level.ERROR, "a device completed a request that it does not have; ignored", new Throwable("here"));
    }

    void recycle() {
        client = null;
        loop = null;
        stage.set(IDLE);
    }

    // ---- those that wait for this one, under the lock of BlockLocks ----------------------------------------------

    void addWaiter(BlockOperation waiter) {
        if (firstWaiter == null) {
            firstWaiter = waiter;
        } else {
            lastWaiter.link = waiter;
        }
        lastWaiter = waiter;
    }

    BlockOperation takeWaiters() {
        BlockOperation waiters = firstWaiter;
        firstWaiter = null;
        lastWaiter = null;
        return waiters;
    }

    // ---- Request -------------------------------------------------------------------------------------------------

    private boolean extent(long bytes, boolean hole, boolean zero) {
        if (bytes <= skip) {
            skip -= bytes;
            return true;
        }
        long told = bytes - skip;
        skip = 0;
        return client.extents().extent(told, hole, zero);
    }

    @Override
    public Command command() {
        return command;
    }

    @Override
    public long offset() {
        return offset;
    }

    @Override
    public long length() {
        return length;
    }

    @Override
    public boolean fua() {
        return fua;
    }

    @Override
    public boolean mayTrim() {
        return client.mayTrim();
    }

    @Override
    public boolean fastZero() {
        return client.fastZero();
    }

    @Override
    public MemorySegment buffer() {
        return address == 0 ? null : Native.view(address, length);
    }

    @Override
    public long address() {
        return address;
    }

    @Override
    public ExtentSink extents() {
        return command == Command.EXTENTS ? sink : null;
    }

    @Override
    public void tag(long value) {
        tag = value;
    }

    @Override
    public long tag() {
        return tag;
    }

    @Override
    public void complete() {
        done(0);
    }

    @Override
    public void fail(int errno) {
        done(errno);
    }
}

package farsight.server;

import farsight.backend.ExtentSink;
import farsight.backend.Request;
import farsight.buffer.Buffer;
import farsight.loop.IoLoop;
import farsight.loop.LoopTask;
import farsight.protocol.Nbd;
import farsight.sys.Native;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * One request of a client on its way through a device; a large one goes through several times, piece by piece. Used
 * again and again by the loop it belongs to. The device completes it on any thread, everything else happens on the loop.
 */
final class IoRequest extends LoopTask implements Request {
    private static final Logger LOG = System.getLogger(IoRequest.class.getName());
    private static final int FREE = 0;
    private static final int SUBMITTED = 1;
    private static final int DONE = 2;
    private static final VarHandle STAGE;

    static {
        try {
            STAGE = MethodHandles.lookup().findVarHandle(IoRequest.class, "stage", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final IoLoop loop;

    @SuppressWarnings("unused") // through STAGE
    private int stage = FREE;

    /** Loop thread only: whether the call of the device is still on the stack. */
    private boolean inSubmit;

    private boolean doneInSubmit;

    // What the client asked for, and how far it has come.
    DeviceIo owner;
    int type;
    long cookie;
    long start;
    long wanted;

    /** When it was received, by the loop's clock. */
    long arrived;

    /** The turn of the loop in which storage was first asked, and the one in which it was done; 0 for not at all. */
    long submitted;

    long completed;

    long finished;
    /** What it counts for among the bytes in flight. */
    long admitted;

    /** NBD_CMD_FLAG_*, kept where they are looked at once more. */
    int commandFlags;

    boolean wantsFua;
    boolean flushing;
    int errno;

    /** Where in the export it failed, when that is known; else -1. */
    long failedAt = -1;

    /** Why it was refused, for people; null when errno says it all. */
    String reason;

    /** A read whose data leaves in one piece, or has to: simple replies and NBD_CMD_FLAG_DF. */
    boolean unbroken;

    /** The metadata that is asked for, MetaContext ids in one number. */
    int contexts;

    /** The request that this is a piece of, itself when it is whole; and how many pieces of it devices have. */
    IoRequest whole;

    int pieces;

    // What the device is asked for now.
    Command command;
    long offset;
    long length;
    boolean fua;
    boolean mayTrim;
    boolean fastZero;
    long address;
    /** Memory behind {@link #address} that this request owns a share of; null when it is lent. */
    Buffer buffer;

    /** Takes the answer to EXTENTS: one of the following. */
    ExtentSink sink;

    // Made when they are first needed.
    ExtentWriter extentWriter;
    ExtentWriter dirtyWriter;
    Buffer dirtyBuffer;
    ExtentWriter depthWriter;
    Buffer depthBuffer;
    LayeredExtents layered;
    ReadPlan plan;

    private long tag;

    /** The next one in whatever list this is in. */
    IoRequest link;

    IoRequest(IoLoop loop) {
        this.loop = loop;
    }

    /** Where it belongs. */
    IoLoop loop() {
        return loop;
    }

    /** Gives this to a device. True when it was completed before this returned. */
    boolean submitTo(Export export) {
        STAGE.setVolatile(this, SUBMITTED);
        tag = 0;
        inSubmit = true;
        doneInSubmit = false;
        try {
            export.device().submit(this);
        } catch (RuntimeException e) {
            LOG.log(Level.ERROR, "export '" + export.name() + "': " + command + " failed: " + e, e);
            fail(farsight.backend.Errno.EIO);
        }
        inSubmit = false;
        return doneInSubmit;
    }

    void recycle() {
        releaseBuffer();
        STAGE.setVolatile(this, FREE);
        owner = null;
        submitted = 0;
        completed = 0;
        finished = 0;
        admitted = 0;
        errno = 0;
        failedAt = -1;
        reason = null;
        unbroken = false;
        contexts = 0;
        sink = null;
        link = null;
        fua = false;
        wantsFua = false;
        flushing = false;
        whole = null;
        pieces = 0;
        mayTrim = false;
        fastZero = false;
        address = 0;
    }

    /** Nanoseconds. */
    long inStorage() {
        return completed - submitted;
    }

    void releaseBuffer() {
        if (buffer != null) {
            buffer.release();
            buffer = null;
        }
        if (dirtyBuffer != null) {
            dirtyBuffer.release();
            dirtyBuffer = null;
        }
        if (depthBuffer != null) {
            depthBuffer.release();
            depthBuffer = null;
        }
    }

    /** On the loop, after another thread completed it. */
    @Override
    protected void run() {
        owner.completed(this);
    }

    private void done(int result) {
        if (!STAGE.compareAndSet(this, SUBMITTED, DONE)) {
            LOG.log(Level.ERROR, "a device completed a request that it does not have; ignored", new Throwable("here"));
            return;
        }
        errno = result;
        if (!loop.inLoop()) {
            loop.execute(this);
        } else if (inSubmit) {
            doneInSubmit = true;
        } else {
            owner.completed(this);
        }
    }

    // ---- Request -------------------------------------------------------------------------------------------------

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
        return mayTrim;
    }

    @Override
    public boolean fastZero() {
        return fastZero;
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
    public boolean lend(long lent) {
        if (type != Nbd.NBD_CMD_READ) {
            return false;
        }
        // The buffer stays with the request until it is sent, unused: it says that there is a piece to send.
        address = lent;
        return true;
    }

    @Override
    public ExtentSink extents() {
        return command == Command.EXTENTS ? sink : null;
    }

    @Override
    public void tag(long tag) {
        this.tag = tag;
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

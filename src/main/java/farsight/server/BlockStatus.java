package farsight.server;

import farsight.backend.ExtentSink;
import farsight.backend.Feature;
import farsight.backend.Request.Command;
import farsight.protocol.MetaContext;
import farsight.protocol.Nbd;
import farsight.protocol.ReplyStyle;

/**
 * Block status requests of one connection (proto.md, "NBD_CMD_BLOCK_STATUS"): which context is answered by whom, and into
 * which memory. Called by {@link RequestDispatcher}. Loop thread only.
 */
final class BlockStatus {
    /** Descriptors of one context in one reply, in bytes. */
    private static final int DESCRIPTOR_BYTES = 16 << 10;

    private final Export export;
    private final ReplyStyle style;
    private final DeviceIo io;
    private final Outbox outbox;

    BlockStatus(Export export, ReplyStyle style, DeviceIo io, Outbox outbox) {
        this.export = export;
        this.style = style;
        this.io = io;
        this.outbox = outbox;
    }

    /**
     * Takes memory for the answers about each context; false when there is none now.
     *
     * @param asked the contexts, MetaContext ids in one number
     */
    boolean takeBuffers(IoRequest request, int asked) {
        request.contexts = asked;
        if ((asked & MetaContext.ALLOCATION.id()) != 0) {
            request.buffer = io.take(DESCRIPTOR_BYTES);
        }
        if ((asked & MetaContext.DIRTY.id()) != 0) {
            request.dirtyBuffer = io.take(DESCRIPTOR_BYTES);
        }
        if ((asked & MetaContext.DEPTH.id()) != 0) {
            request.depthBuffer = io.take(DESCRIPTOR_BYTES);
        }
        return ((asked & MetaContext.ALLOCATION.id()) == 0 || request.buffer != null)
                && ((asked & MetaContext.DIRTY.id()) == 0 || request.dirtyBuffer != null)
                && ((asked & MetaContext.DEPTH.id()) == 0 || request.depthBuffer != null);
    }

    /** Asks for what the request's contexts tell. They are settled, and have their buffers. */
    void start(IoRequest request, int commandFlags) {
        int most = (commandFlags & Nbd.NBD_CMD_FLAG_REQ_ONE) != 0 ? 1 : Integer.MAX_VALUE;
        if ((request.contexts & MetaContext.DIRTY.id()) != 0) {
            if (request.dirtyWriter == null) {
                request.dirtyWriter = new ExtentWriter();
            }
            request.dirtyWriter.begin(request.dirtyBuffer.memory(), style.extended(), request.wanted, most);
            request.dirtyWriter.dirty(export.dirty(), request.start);
        }
        request.sink = extentSink(request, most);
        if (request.sink == null) {
            outbox.add(request);
            return;
        }
        request.command = Command.EXTENTS;
        request.offset = request.start;
        request.length = request.wanted;
        if (export.can(Feature.EXTENTS)) {
            io.submit(request);
        } else {
            request.sink.extent(request.wanted, false, false);
            outbox.add(request);
        }
    }

    /** What takes the storage's answer, for one context or two; null when neither was asked for. */
    private ExtentSink extentSink(IoRequest request, int most) {
        boolean allocation = (request.contexts & MetaContext.ALLOCATION.id()) != 0;
        boolean depth = (request.contexts & MetaContext.DEPTH.id()) != 0;
        if (allocation) {
            if (request.extentWriter == null) {
                request.extentWriter = new ExtentWriter();
            }
            request.extentWriter.begin(request.buffer.memory(), style.extended(), request.wanted, most);
        }
        if (depth) {
            if (request.depthWriter == null) {
                request.depthWriter = new ExtentWriter();
                request.layered = new LayeredExtents();
            }
            request.depthWriter.begin(request.depthBuffer.memory(), style.extended(), request.wanted, most);
            request.depthWriter.depth();
        }
        if (allocation && depth) {
            request.layered.begin(request.extentWriter, request.depthWriter);
            return request.layered;
        }
        return allocation ? request.extentWriter : depth ? request.depthWriter : null;
    }
}

package farsight.server;

import farsight.protocol.MetaContext;
import farsight.protocol.Nbd;
import farsight.protocol.ReplyChunk;
import farsight.protocol.ReplyStyle;
import farsight.protocol.SimpleReply;
import farsight.sys.ErrnoException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/** Puts replies into an {@link Outbox} in the style that a connection has settled on. Loop thread only. */
final class ReplyWriter {
    private final Outbox outbox;
    private final ReplyStyle style;
    private final boolean extended;

    ReplyWriter(Outbox outbox, ReplyStyle style) {
        this.outbox = outbox;
        this.style = style;
        extended = style.extended();
    }

    /** The whole reply to a request without content, or to one that failed. */
    void finished(IoRequest request) {
        if (request.errno != 0) {
            failed(request);
        } else if (extended || style.chunked() && request.type == Nbd.NBD_CMD_READ) {
            none(request);
        } else {
            // With structured replies, too, as it is the shorter one (proto.md, "Structured reply").
            simple(0, request.cookie);
        }
    }

    private void simple(int error, long cookie) {
        SimpleReply.write(outbox.headers(), outbox.headerAt(), error, cookie);
        outbox.header(SimpleReply.SIZE);
    }

    /** The end of a reply in chunks. */
    void none(IoRequest request) {
        outbox.header(ReplyChunk.none(outbox.headers(), outbox.headerAt(), extended, request.cookie, request.start));
    }

    /** The end of a reply that failed; with what is known of the cause, if the style has room for that. */
    void failed(IoRequest request) {
        int error = Nbd.errorOf(request.errno);
        if (!style.chunked()) {
            simple(error, request.cookie);
            return;
        }
        byte[] text = reason(request).getBytes(StandardCharsets.UTF_8);
        MemorySegment memory = outbox.headers();
        int at = outbox.headerAt();
        if (request.failedAt < 0) {
            outbox.header(ReplyChunk.error(memory, at, extended, request.cookie, request.start, error, text));
        } else {
            outbox.header(ReplyChunk.errorOffset(
                    memory, at, extended, request.cookie, request.start, error, text, request.failedAt));
        }
    }

    private static String reason(IoRequest request) {
        return request.reason != null
                ? request.reason
                : Nbd.commandName(request.type) + ": " + ErrnoException.describe(request.errno);
    }

    /** What comes before all data of a read, which follows in one piece or in several. */
    void wholeData(IoRequest request, boolean done) {
        if (style.chunked()) {
            data(request, request.start, request.wanted, done);
        } else {
            simple(0, request.cookie);
        }
    }

    /** What comes before some data of a read. */
    void data(IoRequest request, long offset, long length, boolean done) {
        outbox.header(ReplyChunk.data(
                outbox.headers(), outbox.headerAt(), extended, done, request.cookie, request.start, offset, length));
    }

    /** Zeroes within a read. */
    void hole(IoRequest request, long offset, long length, boolean done) {
        outbox.header(ReplyChunk.hole(
                outbox.headers(), outbox.headerAt(), extended, done, request.cookie, request.start, offset, length));
    }

    /** All of a block status, a chunk for each context. */
    void status(IoRequest request) {
        int allocation = request.contexts & MetaContext.ALLOCATION.id();
        int dirty = request.contexts & MetaContext.DIRTY.id();
        int depth = request.contexts & MetaContext.DEPTH.id();
        if (allocation != 0) {
            status(request, allocation, request.extentWriter, dirty == 0 && depth == 0);
            outbox.payload(request.buffer.address(), request.extentWriter.bytes(), request.buffer);
            request.buffer = null;
        }
        if (dirty != 0) {
            status(request, dirty, request.dirtyWriter, depth == 0);
            outbox.payload(request.dirtyBuffer.address(), request.dirtyWriter.bytes(), request.dirtyBuffer);
            request.dirtyBuffer = null;
        }
        if (depth != 0) {
            status(request, depth, request.depthWriter, true);
            outbox.payload(request.depthBuffer.address(), request.depthWriter.bytes(), request.depthBuffer);
            request.depthBuffer = null;
        }
    }

    private void status(IoRequest request, int context, ExtentWriter writer, boolean done) {
        outbox.header(ReplyChunk.status(
                outbox.headers(),
                outbox.headerAt(),
                extended,
                done,
                request.cookie,
                request.start,
                context,
                writer.count()));
    }
}

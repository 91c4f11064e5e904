package farsight.server;

import farsight.backend.BlockSizes;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.buffer.Buffer;
import farsight.loop.Channel;
import farsight.loop.Timer;
import farsight.protocol.ExportRequest;
import farsight.protocol.MetaContexts;
import farsight.protocol.Nbd;
import farsight.protocol.OptionHeader;
import farsight.protocol.OptionReplies;
import farsight.protocol.ProtocolException;
import farsight.protocol.Wire;
import farsight.sys.IoVec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletionException;

/**
 * The handshake of a connection (proto.md, "Handshake", fixed newstyle). Options are handled one after the other, each
 * only when the answer to the one before is on its way, so that nothing piles up. Storage is opened when an export is
 * asked for and not before, off the loop. Loop thread only.
 */
final class Handshake implements Phase {
    /** The longest option that is read; longer ones are passed over and refused (NBD_REP_ERR_TOO_BIG). */
    private static final int MAX_OPTION = 32 << 10;

    private static final int CLIENT_FLAGS_SIZE = 4;

    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Exports exports;
    private final Timer timer;

    /** Received bytes that are not handled yet: from {@link #at} to {@link #end} of {@link #input}. */
    private Buffer input;

    private int at;
    private int end;

    /** Payload of an option that is too long, still to be passed over. */
    private long skip;

    private final OptionReplies replies = new OptionReplies();
    private Arena outputArena;
    private IoVec output;
    private boolean flagsSeen;
    private boolean noZeroes;
    private boolean structured;

    /** The export that "base:allocation" was set for; null when it was not. */
    private String allocationOf;

    private boolean allocation;
    private boolean opening;
    private boolean closing;
    private boolean closed;
    private int options;

    /** The export that transmission begins with once the last answer is sent. */
    private Export chosen;

    Handshake(Connection connection, Channel channel, ServerLoop loop, Exports exports) {
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.exports = exports;
        timer = loop.loop().after(connection.limits().handshakeTimeout(), this::timedOut);
    }

    void start() {
        replies.greeting();
        send();
    }

    private void timedOut() {
        connection.protocolError("did not finish its handshake within "
                + connection.limits().handshakeTimeout().toSeconds() + " s");
        connection.disconnect();
    }

    // ---- bytes ---------------------------------------------------------------------------------------------------

    @Override
    public void received(Buffer buffer, int from, int length) {
        int start = from;
        int left = length;
        int passed = (int) Math.min(skip, left);
        skip -= passed;
        start += passed;
        left -= passed;
        if (!append(buffer, start, left)) {
            connection.protocolError("sent more than an option while the one before was not answered yet");
            connection.disconnect();
            return;
        }
        proceed();
    }

    private boolean append(Buffer buffer, int from, int length) {
        if (length == 0) {
            return true;
        }
        if (input == null) {
            input = loop.loop().pool().take(2 * MAX_OPTION);
            if (input == null) {
                return false;
            }
            at = 0;
            end = 0;
        }
        if (end + length > input.capacity()) {
            MemorySegment memory = input.memory();
            MemorySegment.copy(memory, at, memory, 0, end - at);
            end -= at;
            at = 0;
        }
        if (end + length > input.capacity()) {
            return false;
        }
        MemorySegment.copy(buffer.memory(), from, input.memory(), end, length);
        end += length;
        return true;
    }

    private int available() {
        return end - at;
    }

    /** Handles what is complete, until an answer has to be waited for. */
    private void proceed() {
        while (!closed && !closing && !opening && chosen == null && !channel.sending()) {
            if (!flagsSeen) {
                if (available() < CLIENT_FLAGS_SIZE) {
                    break;
                }
                clientFlags(input.memory().get(Wire.INT, at));
                at += CLIENT_FLAGS_SIZE;
            } else if (!option()) {
                break;
            }
            send();
        }
        if (!closed && available() == 0 && input != null) {
            input.release();
            input = null;
        }
    }

    private void clientFlags(int flags) {
        flagsSeen = true;
        int known = Nbd.NBD_FLAG_C_FIXED_NEWSTYLE | Nbd.NBD_FLAG_C_NO_ZEROES;
        if ((flags & ~known) != 0) {
            // "MUST close": the client means something that this server does not know.
            fail("sent unknown client flags 0x" + Integer.toHexString(flags));
        } else if ((flags & Nbd.NBD_FLAG_C_FIXED_NEWSTYLE) == 0) {
            // It can then only send NBD_OPT_EXPORT_NAME, which works the same.
            noZeroes = false;
        }
        noZeroes = (flags & Nbd.NBD_FLAG_C_NO_ZEROES) != 0;
    }

    private void fail(String what) {
        connection.protocolError(what);
        closing = true;
    }

    // ---- options -------------------------------------------------------------------------------------------------

    /** Handles the next option; false when it is not complete. */
    private boolean option() {
        if (available() < OptionHeader.SIZE) {
            return false;
        }
        MemorySegment memory = input.memory();
        if (OptionHeader.magic(memory, at) != Nbd.IHAVEOPT) {
            fail("sent something that is no option (wrong magic)");
            return true;
        }
        int option = OptionHeader.option(memory, at);
        long length = OptionHeader.length(memory, at);
        if (length > MAX_OPTION) {
            at += OptionHeader.SIZE;
            tooLong(option, length);
            return count(option);
        }
        if (available() < OptionHeader.SIZE + length) {
            return false;
        }
        if (count(option)) {
            MemorySegment data = memory.asSlice(at + OptionHeader.SIZE, length);
            at += OptionHeader.SIZE + (int) length;
            handle(option, data);
        }
        return true;
    }

    private boolean count(int option) {
        if (++options > connection.limits().maxOptions()) {
            fail("sent more than " + connection.limits().maxOptions() + " options, the last " + Nbd.optionName(option));
        }
        return !closing;
    }

    private void tooLong(int option, long length) {
        int here = (int) Math.min(length, available());
        at += here;
        skip = length - here;
        if (option == Nbd.NBD_OPT_EXPORT_NAME) {
            // It has no error reply.
            fail("sent an export name of " + length + " bytes");
        } else {
            replies.error(option, Nbd.NBD_REP_ERR_TOO_BIG, "an option of " + length + " bytes; at most " + MAX_OPTION);
        }
    }

    private void handle(int option, MemorySegment data) {
        switch (option) {
            case Nbd.NBD_OPT_EXPORT_NAME, Nbd.NBD_OPT_INFO, Nbd.NBD_OPT_GO -> chooseExport(option, data);
            case Nbd.NBD_OPT_ABORT -> {
                replies.ack(option);
                closing = true;
            }
            case Nbd.NBD_OPT_LIST -> list(data);
            case Nbd.NBD_OPT_STRUCTURED_REPLY -> structuredReplies(data);
            case Nbd.NBD_OPT_LIST_META_CONTEXT, Nbd.NBD_OPT_SET_META_CONTEXT -> metaContexts(option, data);
            case Nbd.NBD_OPT_STARTTLS ->
                replies.error(option, Nbd.NBD_REP_ERR_POLICY, "this server is not configured for TLS");
            default -> replies.error(option, Nbd.NBD_REP_ERR_UNSUP, "unknown option");
        }
    }

    private void list(MemorySegment data) {
        if (data.byteSize() != 0) {
            replies.error(Nbd.NBD_OPT_LIST, Nbd.NBD_REP_ERR_INVALID, "NBD_OPT_LIST takes no data");
            return;
        }
        exports.listed().forEach(replies::server);
        replies.ack(Nbd.NBD_OPT_LIST);
    }

    private void structuredReplies(MemorySegment data) {
        if (!exports.mayTellExtents()) {
            replies.error(
                    Nbd.NBD_OPT_STRUCTURED_REPLY, Nbd.NBD_REP_ERR_UNSUP, "no storage here can tell holes from data");
            return;
        }
        if (data.byteSize() != 0) {
            replies.error(Nbd.NBD_OPT_STRUCTURED_REPLY, Nbd.NBD_REP_ERR_INVALID, "the option takes no data");
            return;
        }
        structured = true;
        replies.ack(Nbd.NBD_OPT_STRUCTURED_REPLY);
    }

    private void metaContexts(int option, MemorySegment data) {
        boolean listing = option == Nbd.NBD_OPT_LIST_META_CONTEXT;
        if (!listing) {
            // "the last one overrides", and one that fails leaves nothing.
            allocationOf = null;
        }
        if (!structured) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, "ask for structured replies first");
            return;
        }
        MetaContexts wanted;
        try {
            wanted = MetaContexts.parse(data);
        } catch (ProtocolException e) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, e.getMessage());
            return;
        }
        if (wanted.wantsAllocation(listing)) {
            replies.metaContext(option, listing ? 0 : MetaContexts.ALLOCATION_ID, MetaContexts.ALLOCATION);
            allocationOf = listing ? allocationOf : wanted.export();
        }
        replies.ack(option);
    }

    /** What is advertised, which depends on what was negotiated before. */
    private int flags(Export export) {
        return export.transmissionFlags() | (structured ? Nbd.NBD_FLAG_SEND_DF : 0);
    }

    private void chooseExport(int option, MemorySegment data) {
        ExportRequest request;
        try {
            request = option == Nbd.NBD_OPT_EXPORT_NAME ? ExportRequest.named(data) : ExportRequest.parse(data);
        } catch (ProtocolException e) {
            refuse(option, Nbd.NBD_REP_ERR_INVALID, e.getMessage());
            return;
        }
        opening = true;
        // Storage may block while it opens; the answer comes back to this loop.
        exports.open(request.name())
                .whenComplete((export, error) -> loop.loop().execute(() -> opened(option, request, export, error)));
    }

    private void opened(int option, ExportRequest request, Export export, Throwable error) {
        opening = false;
        if (closed) {
            if (export != null) {
                exports.release(export);
            }
            connection.gone();
            return;
        }
        if (error != null) {
            Throwable cause =
                    error instanceof CompletionException && error.getCause() != null ? error.getCause() : error;
            refuse(option, replyFor(cause), cause.getMessage());
        } else if (option == Nbd.NBD_OPT_EXPORT_NAME) {
            replies.exportName(export.size(), flags(export), !noZeroes);
            choose(request, export);
        } else {
            inform(option, request, export);
            if (option == Nbd.NBD_OPT_GO) {
                choose(request, export);
            } else {
                exports.release(export);
            }
        }
        send();
        proceed();
    }

    private void choose(ExportRequest request, Export export) {
        chosen = export;
        // Contexts are those of the export that they were set for.
        allocation = request.name().equals(allocationOf);
    }

    private void inform(int option, ExportRequest request, Export export) {
        replies.infoExport(option, export.size(), flags(export));
        if (request.wants(Nbd.NBD_INFO_NAME)) {
            replies.infoText(option, Nbd.NBD_INFO_NAME, export.name());
        }
        if (request.wants(Nbd.NBD_INFO_DESCRIPTION) && !export.description().isEmpty()) {
            replies.infoText(option, Nbd.NBD_INFO_DESCRIPTION, export.description());
        }
        // Unasked, too: a client that ignores it keeps to 512 bytes, one that reads it is better off.
        BlockSizes sizes = export.device().blockSizes();
        replies.infoBlockSize(option, sizes.minimum(), sizes.preferred(), Nbd.MAX_PAYLOAD);
        replies.ack(option);
    }

    private static int replyFor(Throwable cause) {
        return switch (cause) {
            case UnknownExportException unknown -> Nbd.NBD_REP_ERR_UNKNOWN;
            case DeviceException e when e.errno() == Errno.EPERM -> Nbd.NBD_REP_ERR_POLICY;
            case DeviceException e when e.errno() == Errno.ESHUTDOWN -> Nbd.NBD_REP_ERR_SHUTDOWN;
            default -> Nbd.NBD_REP_ERR_UNKNOWN;
        };
    }

    private void refuse(int option, int reply, String why) {
        if (option == Nbd.NBD_OPT_EXPORT_NAME) {
            // "the server MUST close the connection": this option has no error reply.
            fail("asked for an export that it cannot have: " + why);
            connection.disconnect();
        } else {
            replies.error(option, reply, why);
        }
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    private void send() {
        if (closed || channel.sending()) {
            return;
        }
        if (!replies.isEmpty()) {
            outputArena = Arena.ofConfined();
            MemorySegment bytes = replies.take(outputArena);
            output = new IoVec(1);
            output.add(bytes.address(), bytes.byteSize());
            channel.send(output);
        } else if (closing) {
            connection.disconnect();
        }
    }

    @Override
    public void sent() {
        freeOutput();
        if (chosen != null) {
            finish();
        } else if (closing) {
            connection.disconnect();
        } else {
            // Not from here: this may be within the send that proceed() itself began.
            channel.touch();
        }
    }

    @Override
    public void turnOver() {
        proceed();
    }

    private void freeOutput() {
        if (output != null) {
            output.close();
            outputArena.close();
            output = null;
        }
    }

    private void finish() {
        timer.cancel();
        Export export = chosen;
        Buffer rest = input;
        input = null;
        closed = true;
        Transmission transmission = connection.transmit(export, structured, allocation);
        if (rest != null) {
            if (end > at) {
                transmission.received(rest, at, end - at);
            }
            rest.release();
        }
    }

    @Override
    public void filled(boolean more) {
        throw new AssertionError("nothing is diverted in a handshake");
    }

    @Override
    public void closed() {
        closed = true;
        timer.cancel();
        freeOutput();
        if (input != null) {
            input.release();
            input = null;
        }
        if (chosen != null) {
            exports.release(chosen);
        }
        if (!opening) {
            connection.gone();
        }
    }
}

package farsight.server;

import farsight.backend.BlockSizes;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.buffer.Buffer;
import farsight.config.ExportAccess;
import farsight.loop.Channel;
import farsight.loop.Timer;
import farsight.protocol.ExportRequest;
import farsight.protocol.MetaContext;
import farsight.protocol.MetaContexts;
import farsight.protocol.Nbd;
import farsight.protocol.OptionHeader;
import farsight.protocol.OptionReplies;
import farsight.protocol.ProtocolException;
import farsight.protocol.ReplyStyle;
import farsight.protocol.Text;
import farsight.protocol.Wire;
import farsight.sys.IoVec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionException;

/**
 * The handshake of a connection (proto.md, "Handshake", fixed newstyle). Options are handled one after the other, each
 * only when the answer to the one before is on its way, so that nothing piles up. Storage is opened when an export is
 * asked for and not before, off the loop. Loop thread only.
 */
final class Handshake implements Phase {
    /** The longest option that is read; longer ones are passed over and refused (NBD_REP_ERR_TOO_BIG). */
    private static final int MAX_OPTION = 32 << 10;

    private static final int INPUT = 2 * MAX_OPTION;
    private static final int CLIENT_FLAGS_SIZE = 4;
    private static final int DEFAULT_BLOCK = 512;
    private static final String BLOCK_SIZE_REQUIRED =
            "ask for NBD_INFO_BLOCK_SIZE and keep to it: smaller blocks cannot be served";

    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Exports exports;
    private final Timer timer;

    /** Received bytes that are not handled yet: from {@link #at} to {@link #end} of {@link #input}. */
    private MemorySegment input;

    private Arena inputArena;

    /** What was received and has no room there; nothing more is received meanwhile. */
    private Buffer held;

    private int heldFrom;
    private int heldEnd;
    private int at;
    private int end;

    /** Payload of an option that is too long, still to be passed over. */
    private long skip;

    private final OptionReplies replies = new OptionReplies();
    private Arena outputArena;
    private IoVec output;
    private boolean flagsSeen;
    private boolean noZeroes;
    private ReplyStyle style = ReplyStyle.SIMPLE;

    /** The contexts that were set last, and the export that they were set for. */
    private Set<MetaContext> contexts = Set.of();

    private String contextsOf;
    private boolean busy;
    private boolean closing;

    /** TLS begins once the answer is sent; until then nothing counts. */
    private boolean securing;

    private boolean closed;
    private int options;
    private long bytes;

    /** The export that transmission begins with once the last answer is sent. */
    private Export chosen;

    private Terms chosenTerms;

    Handshake(Connection connection, Channel channel, ServerLoop loop, Exports exports) {
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.exports = exports;
        timer = loop.loop().after(connection.limits().handshakeTimeout(), this::timedOut);
    }

    /** After the client has turned to TLS: flags are not sent again (proto.md, NBD_OPT_STARTTLS). */
    Handshake(Connection connection, Channel channel, ServerLoop loop, Exports exports, boolean noZeroes) {
        this(connection, channel, loop, exports);
        flagsSeen = true;
        this.noZeroes = noZeroes;
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
        bytes += length;
        if (bytes > connection.limits().handshakeBytes() && chosen == null) {
            connection.protocolError("sent more than " + connection.limits().handshakeBytes()
                    + " bytes in its handshake (handshake_bytes)");
            connection.disconnect();
            return;
        }
        int taken = consume(buffer, from, length);
        if (taken < length && !closed) {
            // An answer has to be waited for, or given, first.
            buffer.retain();
            held = buffer;
            heldFrom = from + taken;
            heldEnd = from + length;
            channel.pause();
        }
    }

    /** Takes what there is room for, as often as that gets on; returns how much. */
    private int consume(Buffer buffer, int from, int length) {
        int taken = 0;
        while (taken < length && !closed) {
            int step = (int) Math.min(skip, length - taken);
            skip -= step;
            step += append(buffer, from + taken + step, length - taken - step);
            if (step == 0) {
                return taken;
            }
            taken += step;
            proceed();
        }
        return taken;
    }

    /** Goes on with what was held back. */
    private void consumeHeld() {
        if (held != null && !closed) {
            heldFrom += consume(held, heldFrom, heldEnd - heldFrom);
            if (heldFrom == heldEnd || closed) {
                freeHeld();
                if (!closed) {
                    channel.resume();
                }
            }
        }
    }

    private int append(Buffer buffer, int from, int length) {
        if (length == 0) {
            return 0;
        }
        if (input == null) {
            // Not from the pool: a handshake gets on, and ends, whatever transmissions have taken of that.
            inputArena = Arena.ofConfined();
            input = inputArena.allocate(INPUT);
            at = 0;
            end = 0;
        }
        if (end + length > INPUT) {
            MemorySegment.copy(input, at, input, 0, end - at);
            end -= at;
            at = 0;
        }
        int fits = Math.min(length, INPUT - end);
        MemorySegment.copy(buffer.memory(), from, input, end, fits);
        end += fits;
        return fits;
    }

    private int available() {
        return end - at;
    }

    /** Handles what is complete, until an answer has to be waited for. */
    private void proceed() {
        while (!closed && !closing && !securing && !busy && chosen == null && !channel.sending()) {
            if (!flagsSeen) {
                if (available() < CLIENT_FLAGS_SIZE) {
                    break;
                }
                clientFlags(input.get(Wire.INT, at));
                at += CLIENT_FLAGS_SIZE;
            } else if (!option()) {
                break;
            }
            send();
        }
        if (!closed && available() == 0) {
            freeInput();
        }
    }

    private void freeHeld() {
        if (held != null) {
            held.release();
            held = null;
        }
    }

    private void freeInput() {
        if (input != null) {
            inputArena.close();
            input = null;
            at = 0;
            end = 0;
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
        MemorySegment memory = input;
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
        if (connection.stopping() && option != Nbd.NBD_OPT_ABORT) {
            refuse(option, Nbd.NBD_REP_ERR_SHUTDOWN, "the server is stopping");
            return;
        }
        if (connection.requiresTls() && option != Nbd.NBD_OPT_STARTTLS && option != Nbd.NBD_OPT_ABORT) {
            refuse(option, Nbd.NBD_REP_ERR_TLS_REQD, "this server requires TLS");
            return;
        }
        switch (option) {
            case Nbd.NBD_OPT_EXPORT_NAME, Nbd.NBD_OPT_INFO, Nbd.NBD_OPT_GO -> chooseExport(option, data);
            case Nbd.NBD_OPT_ABORT -> {
                replies.ack(option);
                closing = true;
            }
            case Nbd.NBD_OPT_LIST -> list(data);
            case Nbd.NBD_OPT_STRUCTURED_REPLY -> structuredReplies(data);
            case Nbd.NBD_OPT_EXTENDED_HEADERS -> extendedHeaders(data);
            case Nbd.NBD_OPT_LIST_META_CONTEXT, Nbd.NBD_OPT_SET_META_CONTEXT -> metaContexts(option, data);
            case Nbd.NBD_OPT_STARTTLS -> startTls(data);
            default -> replies.error(option, Nbd.NBD_REP_ERR_UNSUP, "unknown option");
        }
    }

    private void startTls(MemorySegment data) {
        int option = Nbd.NBD_OPT_STARTTLS;
        if (data.byteSize() != 0) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, "the option takes no data");
        } else if (connection.isSecure()) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, "TLS is in use already");
        } else if (!connection.offersTls()) {
            replies.error(option, Nbd.NBD_REP_ERR_POLICY, "this server is not configured for TLS");
        } else {
            securing = true;
            replies.ack(option);
        }
    }

    private void list(MemorySegment data) {
        if (data.byteSize() != 0) {
            replies.error(Nbd.NBD_OPT_LIST, Nbd.NBD_REP_ERR_INVALID, "NBD_OPT_LIST takes no data");
            return;
        }
        busy = true;
        exports.list().whenComplete((all, error) -> loop.loop().execute(() -> listed(all, error)));
    }

    private void listed(List<Exports.Listed> all, Throwable error) {
        busy = false;
        if (closed) {
            connection.gone();
            return;
        }
        if (error != null) {
            replies.error(Nbd.NBD_OPT_LIST, Nbd.NBD_REP_ERR_UNKNOWN, "the exports cannot be listed: " + error);
        } else {
            all.stream()
                    .filter(export -> refusal(export.name()) == 0)
                    .forEach(export -> replies.server(export.name(), export.description()));
            replies.ack(Nbd.NBD_OPT_LIST);
        }
        send();
        proceed();
        consumeHeld();
    }

    private void structuredReplies(MemorySegment data) {
        int option = Nbd.NBD_OPT_STRUCTURED_REPLY;
        if (data.byteSize() != 0) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, "the option takes no data");
        } else if (style.extended()) {
            replies.error(option, Nbd.NBD_REP_ERR_EXT_HEADER_REQD, "extended headers are in use already");
        } else {
            style = ReplyStyle.STRUCTURED;
            replies.ack(option);
        }
    }

    private void extendedHeaders(MemorySegment data) {
        int option = Nbd.NBD_OPT_EXTENDED_HEADERS;
        if (data.byteSize() != 0) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, "the option takes no data");
        } else {
            style = ReplyStyle.EXTENDED;
            replies.ack(option);
        }
    }

    private void metaContexts(int option, MemorySegment data) {
        boolean listing = option == Nbd.NBD_OPT_LIST_META_CONTEXT;
        if (!listing) {
            // "replaces all previously-set metadata contexts (including when this command fails)"
            contexts = Set.of();
            contextsOf = null;
        }
        if (!style.chunked()) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, "ask for structured replies or extended headers first");
            return;
        }
        MetaContexts wanted;
        try {
            wanted = MetaContexts.parse(data);
        } catch (ProtocolException e) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, e.getMessage());
            return;
        }
        if (refused(option, wanted.export())) {
            return;
        }
        Optional<Set<MetaContext>> available = exports.contexts(wanted.export());
        if (wanted.count() > MetaContexts.MOST_QUERIES) {
            String why = wanted.count() + " queries; at most " + MetaContexts.MOST_QUERIES + " are taken";
            replies.error(option, Nbd.NBD_REP_ERR_TOO_BIG, why);
        } else if (available.isEmpty()) {
            String why = "no export has the name " + Text.quote(wanted.export());
            replies.error(option, Nbd.NBD_REP_ERR_UNKNOWN, why);
        } else if (listing) {
            MetaContext.listed(wanted.queries(), available.get())
                    .forEach(context -> replies.metaContext(option, 0, context.contextName()));
            replies.ack(option);
        } else {
            contexts = MetaContext.selected(wanted.queries(), available.get());
            contextsOf = wanted.export();
            contexts.forEach(context -> replies.metaContext(option, context.id(), context.contextName()));
            replies.ack(option);
        }
    }

    /** Why this client may not have an export: the reply, or 0. */
    private int refusal(String name) {
        ExportAccess access = exports.access(name);
        if (access == ExportAccess.OPEN) {
            return 0;
        }
        if (!access.isFrom(connection.identity())) {
            return Nbd.NBD_REP_ERR_POLICY;
        }
        if (access.tls() && !connection.isSecure()) {
            return Nbd.NBD_REP_ERR_TLS_REQD;
        }
        return access.isCertified(connection.identity()) ? 0 : Nbd.NBD_REP_ERR_POLICY;
    }

    private boolean refused(int option, String name) {
        int reply = refusal(name);
        if (reply != 0) {
            String why = reply == Nbd.NBD_REP_ERR_TLS_REQD ? "requires TLS" : "is not for this client";
            refuse(option, reply, "export " + Text.quote(name) + " " + why);
        }
        return reply != 0;
    }

    /** What transmission with an export would begin with: contexts are those of the export that they were set for. */
    private Terms terms(String export) {
        ExportAccess access = exports.access(export);
        boolean readOnly = !access.readOnly().isEmpty() && access.isReadOnly(connection.identity());
        return new Terms(style, export.equals(contextsOf) ? contexts : Set.of(), readOnly);
    }

    private void chooseExport(int option, MemorySegment data) {
        ExportRequest request;
        try {
            request = option == Nbd.NBD_OPT_EXPORT_NAME ? ExportRequest.named(data) : ExportRequest.parse(data);
        } catch (ProtocolException e) {
            refuse(option, Nbd.NBD_REP_ERR_INVALID, e.getMessage());
            return;
        }
        if (option == Nbd.NBD_OPT_EXPORT_NAME && style.extended()) {
            refuse(option, Nbd.NBD_REP_ERR_INVALID, "extended headers need NBD_OPT_GO");
            return;
        }
        if (refused(option, request.name())) {
            return;
        }
        busy = true;
        // Storage may block while it opens; the answer comes back to this loop.
        exports.open(request.name())
                .whenComplete((export, error) -> loop.loop().execute(() -> opened(option, request, export, error)));
    }

    private void opened(int option, ExportRequest request, Export export, Throwable error) {
        busy = false;
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
        } else if (connection.stopping()) {
            exports.release(export);
            refuse(option, Nbd.NBD_REP_ERR_SHUTDOWN, "the server is stopping");
        } else if (refused(option, request.name())) {
            exports.release(export); // the rules have changed meanwhile
        } else if (option == Nbd.NBD_OPT_EXPORT_NAME) {
            exportName(request, export);
        } else {
            boolean accepted = inform(option, request, export);
            if (option == Nbd.NBD_OPT_GO && accepted) {
                choose(request, export);
            } else {
                exports.release(export);
            }
        }
        send();
        proceed();
        consumeHeld();
    }

    private void exportName(ExportRequest request, Export export) {
        if (needsBlockSizes(export)) {
            exports.release(export);
            refuse(Nbd.NBD_OPT_EXPORT_NAME, Nbd.NBD_REP_ERR_BLOCK_SIZE_REQD, BLOCK_SIZE_REQUIRED);
            return;
        }
        replies.exportName(export.size(), export.transmissionFlags(terms(request.name())), !noZeroes);
        choose(request, export);
    }

    private void choose(ExportRequest request, Export export) {
        chosen = export;
        chosenTerms = terms(request.name());
    }

    /** A client that does not ask keeps to 512 bytes at best (proto.md, "Size constraints"). */
    private static boolean needsBlockSizes(Export export) {
        return export.device().blockSizes().minimum() > DEFAULT_BLOCK;
    }

    /** Tells about an export; false when transmission cannot follow. */
    private boolean inform(int option, ExportRequest request, Export export) {
        BlockSizes sizes = export.device().blockSizes();
        // Unasked, too: a client that ignores it keeps to 512 bytes, one that reads it is better off.
        replies.infoBlockSize(option, sizes.minimum(), sizes.preferred(), Nbd.MAX_PAYLOAD);
        if (option == Nbd.NBD_OPT_GO && needsBlockSizes(export) && !request.wants(Nbd.NBD_INFO_BLOCK_SIZE)) {
            replies.error(option, Nbd.NBD_REP_ERR_BLOCK_SIZE_REQD, BLOCK_SIZE_REQUIRED);
            return false;
        }
        replies.infoExport(option, export.size(), export.transmissionFlags(terms(request.name())));
        if (request.wants(Nbd.NBD_INFO_NAME)) {
            replies.infoText(option, Nbd.NBD_INFO_NAME, export.name());
        }
        if (request.wants(Nbd.NBD_INFO_DESCRIPTION) && !export.description().isEmpty()) {
            replies.infoText(option, Nbd.NBD_INFO_DESCRIPTION, export.description());
        }
        replies.ack(option);
        return true;
    }

    private static int replyFor(Throwable cause) {
        return switch (cause) {
            case UnknownExportException unknown -> Nbd.NBD_REP_ERR_UNKNOWN;
            case DeviceException e when e.errno() == Errno.EPERM -> Nbd.NBD_REP_ERR_POLICY;
            case DeviceException e when e.errno() == Errno.ESHUTDOWN -> Nbd.NBD_REP_ERR_SHUTDOWN;
            case DeviceException e when e.errno() == Errno.ENOTSUP -> Nbd.NBD_REP_ERR_PLATFORM;
            case DeviceException e when e.errno() == Errno.EOVERFLOW -> Nbd.NBD_REP_ERR_TOO_BIG;
            default -> Nbd.NBD_REP_ERR_UNKNOWN;
        };
    }

    private void refuse(int option, int reply, String why) {
        if (option == Nbd.NBD_OPT_EXPORT_NAME) {
            // "the server MUST close the connection": this option has no error reply.
            fail("asked for an export that it cannot have: " + why);
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
            end();
        }
    }

    /** All is said: the client may still be sending. */
    private void end() {
        timer.cancel();
        freeOutput();
        freeInput();
        closed = true;
        freeHeld();
        connection.drain();
    }

    @Override
    public void sent() {
        freeOutput();
        if (chosen != null) {
            finish();
        } else if (closing) {
            end();
        } else if (securing) {
            secure();
        } else {
            // Not from here: this may be within the send that proceed() itself began.
            channel.touch();
        }
    }

    /** What came before TLS may have been put there by anybody: it is dropped, unread (CVE-2021-3716 of nbdkit). */
    private void secure() {
        timer.cancel();
        freeInput();
        freeHeld();
        closed = true;
        channel.resume();
        connection.startTls(noZeroes);
    }

    @Override
    public void turnOver() {
        proceed();
        consumeHeld();
    }

    private void freeOutput() {
        if (output != null) {
            output.close();
            outputArena.close();
            output = null;
        }
    }

    private void finish() {
        int length = available() + (held == null ? 0 : heldEnd - heldFrom);
        Buffer rest = null;
        if (length > 0) {
            // The client was quick: requests are here already.
            rest = loop.loop().pool().take(length);
            if (rest == null) {
                channel.pause();
                loop.loop().pool().onRelease(this::finishLater);
                return;
            }
            if (input != null) {
                MemorySegment.copy(input, at, rest.memory(), 0, available());
            }
            if (held != null) {
                MemorySegment.copy(held.memory(), heldFrom, rest.memory(), available(), heldEnd - heldFrom);
            }
        }
        timer.cancel();
        freeInput();
        freeHeld();
        closed = true;
        channel.resume();
        connection.transmit(chosen, chosenTerms, rest, length);
        if (rest != null) {
            rest.release();
        }
    }

    private void finishLater() {
        if (!closed) {
            finish();
        }
    }

    @Override
    public void filled(boolean more) {
        throw new AssertionError("nothing is diverted in a handshake");
    }

    /** A handshake loses nothing: what it asks from now on is refused, until the server closes it. */
    @Override
    public void stop() {
        connection.quiet();
    }

    @Override
    public void closed() {
        closed = true;
        timer.cancel();
        freeOutput();
        freeInput();
        freeHeld();
        if (chosen != null) {
            exports.release(chosen);
        }
        if (!busy) {
            connection.gone();
        }
    }
}

package farsight.server;

import farsight.buffer.Buffer;
import farsight.loop.Channel;
import farsight.loop.Timer;
import farsight.protocol.ExportRequest;
import farsight.protocol.Nbd;
import farsight.protocol.OptionHeader;
import farsight.protocol.OptionReplies;
import farsight.protocol.ProtocolException;
import farsight.protocol.Wire;
import farsight.sys.IoVec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.CompletionException;

/**
 * The handshake of a connection (proto.md, "Handshake", fixed newstyle). Options are handled one after the other, each
 * only when the answer to the one before is on its way, so that nothing piles up. Storage is opened when an export is
 * asked for and not before, off the loop. Loop thread only.
 */
final class Handshake implements Phase {
    private static final int CLIENT_FLAGS_SIZE = 4;

    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Exports exports;
    private final Timer timer;
    private final Agreement agreement;

    private final HandshakeInput input = new HandshakeInput();
    private final OptionReplies replies = new OptionReplies();
    private Arena outputArena;
    private IoVec output;
    private boolean flagsSeen;
    private boolean fixed;
    private boolean noZeroes;
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
        agreement = new Agreement(connection, exports);
        timer = loop.loop().after(connection.limits().handshakeTimeout(), this::timedOut);
    }

    /** After the client has turned to TLS: flags are not sent again (proto.md, NBD_OPT_STARTTLS). */
    Handshake(Connection connection, Channel channel, ServerLoop loop, Exports exports, boolean noZeroes) {
        this(connection, channel, loop, exports);
        flagsSeen = true;
        fixed = true;
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
            input.hold(buffer, from + taken, from + length);
            channel.pause();
        }
    }

    /** Takes what there is room for, as often as that gets on; returns how much. */
    private int consume(Buffer buffer, int from, int length) {
        int taken = 0;
        while (taken < length && !closed) {
            int step = input.take(buffer, from + taken, length - taken);
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
        if (input.isHolding() && !closed) {
            input.passHeld(this::consume);
            if (!input.isHolding() && !closed) {
                channel.resume();
            }
        }
    }

    /** Handles what is complete, until an answer has to be waited for. */
    private void proceed() {
        while (!closed && !closing && !securing && !busy && chosen == null && !channel.sending()) {
            if (!flagsSeen) {
                if (input.available() < CLIENT_FLAGS_SIZE) {
                    break;
                }
                clientFlags(input.next(CLIENT_FLAGS_SIZE).get(Wire.INT, 0));
            } else if (!option()) {
                break;
            }
            send();
        }
        if (!closed && input.available() == 0) {
            input.free();
        }
    }

    private void clientFlags(int flags) {
        flagsSeen = true;
        int known = Nbd.NBD_FLAG_C_FIXED_NEWSTYLE | Nbd.NBD_FLAG_C_NO_ZEROES;
        if ((flags & ~known) != 0) {
            // "MUST close": the client means something that this server does not know.
            fail("sent unknown client flags 0x" + Integer.toHexString(flags));
        }
        fixed = (flags & Nbd.NBD_FLAG_C_FIXED_NEWSTYLE) != 0;
        noZeroes = (flags & Nbd.NBD_FLAG_C_NO_ZEROES) != 0;
    }

    private void fail(String what) {
        connection.protocolError(what);
        closing = true;
    }

    // ---- options -------------------------------------------------------------------------------------------------

    /** Handles the next option; false when it is not complete. */
    private boolean option() {
        if (input.available() < OptionHeader.SIZE) {
            return false;
        }
        MemorySegment header = input.peek(OptionHeader.SIZE);
        if (OptionHeader.magic(header, 0) != Nbd.IHAVEOPT) {
            fail("sent something that is no option (wrong magic)");
            return true;
        }
        int option = OptionHeader.option(header, 0);
        long length = OptionHeader.length(header, 0);
        if (length > HandshakeInput.MAX_OPTION) {
            input.next(OptionHeader.SIZE);
            tooLong(option, length);
            return count(option);
        }
        if (input.available() < OptionHeader.SIZE + length) {
            return false;
        }
        if (count(option)) {
            input.next(OptionHeader.SIZE);
            handle(option, input.next((int) length));
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
        input.skip(length);
        if (option == Nbd.NBD_OPT_EXPORT_NAME) {
            // It has no error reply.
            fail("sent an export name of " + length + " bytes");
        } else {
            replies.error(
                    option,
                    Nbd.NBD_REP_ERR_TOO_BIG,
                    "an option of " + length + " bytes; at most " + HandshakeInput.MAX_OPTION);
        }
    }

    private void handle(int option, MemorySegment data) {
        if (connection.stopping() && option != Nbd.NBD_OPT_ABORT) {
            refuse(option, Nbd.NBD_REP_ERR_SHUTDOWN, "the server is stopping");
            return;
        }
        if (connection.requiresTls() && option != Nbd.NBD_OPT_STARTTLS && option != Nbd.NBD_OPT_ABORT) {
            // Clients of the old handshake cannot turn to TLS, so that they must not be told to.
            int why = fixed ? Nbd.NBD_REP_ERR_TLS_REQD : Nbd.NBD_REP_ERR_POLICY;
            refuse(option, why, "this server requires TLS");
            return;
        }
        switch (option) {
            case Nbd.NBD_OPT_EXPORT_NAME, Nbd.NBD_OPT_INFO, Nbd.NBD_OPT_GO -> chooseExport(option, data);
            case Nbd.NBD_OPT_ABORT -> {
                replies.ack(option);
                closing = true;
            }
            case Nbd.NBD_OPT_LIST -> list(data);
            case Nbd.NBD_OPT_STRUCTURED_REPLY -> agreement.structuredReplies(data, replies);
            case Nbd.NBD_OPT_EXTENDED_HEADERS -> agreement.extendedHeaders(data, replies);
            case Nbd.NBD_OPT_LIST_META_CONTEXT, Nbd.NBD_OPT_SET_META_CONTEXT ->
                agreement.metaContexts(option, data, replies);
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
        } else if (!fixed) {
            // "MUST operate in NOTLS mode unless [...] the client replied with NBD_FLAG_C_FIXED_NEWSTYLE"
            replies.error(option, Nbd.NBD_REP_ERR_POLICY, "TLS needs the fixed newstyle handshake");
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

    private void listed(List<ExportList.Listed> all, Throwable error) {
        busy = false;
        if (closed) {
            connection.gone();
            return;
        }
        if (error != null) {
            replies.error(Nbd.NBD_OPT_LIST, Nbd.NBD_REP_ERR_UNKNOWN, "the exports cannot be listed: " + error);
        } else {
            all.stream()
                    .filter(export -> agreement.refusal(export.name()) == 0)
                    .forEach(export -> replies.server(export.name(), export.description()));
            replies.ack(Nbd.NBD_OPT_LIST);
        }
        send();
        proceed();
        consumeHeld();
    }

    private boolean refused(int option, String name) {
        int reply = agreement.refusal(name);
        if (reply != 0) {
            refuse(option, reply, Agreement.explain(reply, name));
        }
        return reply != 0;
    }

    private void chooseExport(int option, MemorySegment data) {
        ExportRequest request;
        try {
            request = option == Nbd.NBD_OPT_EXPORT_NAME ? ExportRequest.named(data) : ExportRequest.parse(data);
        } catch (ProtocolException e) {
            refuse(option, Nbd.NBD_REP_ERR_INVALID, e.getMessage());
            return;
        }
        if (option == Nbd.NBD_OPT_EXPORT_NAME && agreement.extended()) {
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
            refuse(option, ExportInformation.replyFor(cause), cause.getMessage());
        } else if (connection.stopping()) {
            exports.release(export);
            refuse(option, Nbd.NBD_REP_ERR_SHUTDOWN, "the server is stopping");
        } else if (refused(option, request.name())) {
            exports.release(export); // the rules have changed meanwhile
        } else if (option == Nbd.NBD_OPT_EXPORT_NAME) {
            exportName(request, export);
        } else {
            boolean accepted =
                    ExportInformation.write(replies, option, request, export, agreement.terms(request.name()));
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
        if (ExportInformation.needsBlockSizes(export)) {
            exports.release(export);
            refuse(Nbd.NBD_OPT_EXPORT_NAME, Nbd.NBD_REP_ERR_BLOCK_SIZE_REQD, ExportInformation.BLOCK_SIZE_REQUIRED);
            return;
        }
        replies.exportName(export.size(), export.transmissionFlags(agreement.terms(request.name())), !noZeroes);
        choose(request, export);
    }

    private void choose(ExportRequest request, Export export) {
        chosen = export;
        chosenTerms = agreement.terms(request.name());
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
        closed = true;
        input.close();
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
        input.close();
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
        int length = input.left();
        Buffer rest = null;
        if (length > 0) {
            // The client was quick: requests are here already.
            rest = loop.loop().pool().take(length);
            if (rest == null) {
                channel.pause();
                loop.loop().pool().onRelease(this::finishLater);
                return;
            }
            input.copyTo(rest.memory());
        }
        timer.cancel();
        input.close();
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
        input.close();
        if (chosen != null) {
            exports.release(chosen);
        }
        if (!busy) {
            connection.gone();
        }
    }
}

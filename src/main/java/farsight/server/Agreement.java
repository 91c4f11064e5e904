package farsight.server;

import farsight.config.ExportAccess;
import farsight.protocol.MetaContext;
import farsight.protocol.MetaContexts;
import farsight.protocol.Nbd;
import farsight.protocol.OptionReplies;
import farsight.protocol.ProtocolException;
import farsight.protocol.ReplyStyle;
import farsight.protocol.Text;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.Set;

/**
 * What a client and the server have agreed on in a handshake so far: how replies look, and which metadata may be asked
 * for. Also, which exports this client may have. Loop thread only.
 */
final class Agreement {
    private final Connection connection;
    private final Exports exports;
    private ReplyStyle style = ReplyStyle.SIMPLE;

    /** The contexts that were set last, and the export that they were set for. */
    private Set<MetaContext> contexts = Set.of();

    private String contextsOf;

    Agreement(Connection connection, Exports exports) {
        this.connection = connection;
        this.exports = exports;
    }

    boolean extended() {
        return style.extended();
    }

    /** Answers NBD_OPT_STRUCTURED_REPLY. */
    void structuredReplies(MemorySegment data, OptionReplies replies) {
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

    /** Answers NBD_OPT_EXTENDED_HEADERS. */
    void extendedHeaders(MemorySegment data, OptionReplies replies) {
        int option = Nbd.NBD_OPT_EXTENDED_HEADERS;
        if (data.byteSize() != 0) {
            replies.error(option, Nbd.NBD_REP_ERR_INVALID, "the option takes no data");
        } else {
            style = ReplyStyle.EXTENDED;
            replies.ack(option);
        }
    }

    /** Answers NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
    void metaContexts(int option, MemorySegment data, OptionReplies replies) {
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
        int refusal = refusal(wanted.export());
        if (refusal != 0) {
            replies.error(option, refusal, explain(refusal, wanted.export()));
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
    int refusal(String name) {
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

    /** A {@link #refusal}, for people. */
    static String explain(int refusal, String export) {
        String why = refusal == Nbd.NBD_REP_ERR_TLS_REQD ? "requires TLS" : "is not for this client";
        return "export " + Text.quote(export) + " " + why;
    }

    /** What transmission with an export would begin with: contexts are those of the export that they were set for. */
    Terms terms(String export) {
        ExportAccess access = exports.access(export);
        boolean readOnly = !access.readOnly().isEmpty() && access.isReadOnly(connection.identity());
        return new Terms(style, export.equals(contextsOf) ? contexts : Set.of(), readOnly);
    }
}

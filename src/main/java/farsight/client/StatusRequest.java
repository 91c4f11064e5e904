package farsight.client;

import farsight.protocol.Nbd;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * A question about the status of blocks, in all contexts that were agreed on or, by a payload, in some of them (proto.md,
 * extended headers, NBD_FLAG_BLOCK_STATUS_PAYLOAD).
 */
final class StatusRequest extends ClientRequest {
    /** Bytes of the longest payload: a length, and all contexts that a client may agree on. */
    static final int LONGEST_PAYLOAD = 8 + Integer.BYTES * ClientHandshake.MOST_CONTEXTS;

    final CompletableFuture<Map<String, List<Extent>>> result = new CompletableFuture<>();
    private final List<MetaContext> contexts;
    private final boolean chosen;

    /**
     * @param contexts what is asked for
     * @param chosen whether a payload says so; without it the server tells all, of which the rest is left out
     */
    StatusRequest(int flags, long offset, long length, List<MetaContext> contexts, boolean chosen) {
        super(Nbd.NBD_CMD_BLOCK_STATUS, chosen ? flags | Nbd.NBD_CMD_FLAG_PAYLOAD_LEN : flags, offset, length, null);
        this.contexts = contexts;
        this.chosen = chosen;
    }

    @Override
    long wireLength() {
        return chosen ? Long.BYTES + (long) Integer.BYTES * contexts.size() : length;
    }

    @Override
    boolean asksFor(int context) {
        if (!chosen) {
            return true;
        }
        for (MetaContext asked : contexts) {
            if (asked.id() == context) {
                return true;
            }
        }
        return false;
    }

    /** The payload is so small that it goes where the header is. */
    @Override
    void send(ClientSocket socket, Memory header, int headerLength) throws NbdException {
        if (!chosen) {
            socket.send(header, 0, headerLength);
            return;
        }
        int at = headerLength;
        header.bytes().putLong(at, length);
        at += Long.BYTES;
        for (MetaContext context : contexts) {
            header.bytes().putInt(at, context.id());
            at += Integer.BYTES;
        }
        socket.send(header, 0, at);
    }

    @Override
    void done(IOException failureOrNull) {
        if (failureOrNull != null) {
            result.completeExceptionally(failureOrNull);
            return;
        }
        Map<String, List<Extent>> byName = new LinkedHashMap<>();
        for (MetaContext context : contexts) {
            for (Status status : statuses) {
                if (status.context() == context.id()) {
                    byName.put(context.name(), status.extents());
                }
            }
        }
        result.complete(byName);
    }
}

package farsight.client;

import farsight.protocol.Nbd;
import java.util.ArrayList;
import java.util.List;

/**
 * What a handshake agreed on.
 *
 * @param export the name as the server gives it, or as it was asked for
 * @param size bytes
 * @param flags NBD_FLAG_* (proto.md, "Transmission flags")
 * @param description for people; empty when the server gave none
 * @param minimumBlock bytes that requests are multiples of; 1 when the server did not say
 * @param preferredBlock bytes; 4096 when the server did not say
 * @param maximumPayload bytes of one read or write; 32 MiB when the server did not say
 * @param structured whether reads are answered in chunks
 * @param extended whether lengths have 64 bits
 * @param contexts what block status tells
 */
public record Negotiated(
        String export,
        long size,
        int flags,
        String description,
        int minimumBlock,
        int preferredBlock,
        int maximumPayload,
        boolean structured,
        boolean extended,
        List<MetaContext> contexts) {
    /** What every server takes (proto.md, "Block size constraints"). */
    static final int DEFAULT_MAXIMUM = 32 << 20;

    /** As for the kernel's client: simple replies, no metadata. */
    public Negotiated(
            String export,
            long size,
            int flags,
            String description,
            int minimumBlock,
            int preferredBlock,
            int maximumPayload) {
        this(export, size, flags, description, minimumBlock, preferredBlock, maximumPayload, false, false, List.of());
    }

    public boolean has(int flag) {
        return (flags & flag) != 0;
    }

    public boolean readOnly() {
        return has(Nbd.NBD_FLAG_READ_ONLY);
    }

    public boolean canFlush() {
        return has(Nbd.NBD_FLAG_SEND_FLUSH);
    }

    /** Whether block status can be asked for some of the contexts only. */
    boolean choosesContexts() {
        return extended && has(Nbd.NBD_FLAG_BLOCK_STATUS_PAYLOAD);
    }

    /** Whether the server can tell holes and zeroes from data. */
    public boolean hasAllocation() {
        return context(ClientOptions.ALLOCATION) != null;
    }

    /** The agreed context of a name, or null. */
    MetaContext context(String name) {
        for (MetaContext context : contexts) {
            if (context.name().equals(name)) {
                return context;
            }
        }
        return null;
    }

    public boolean canTrim() {
        return has(Nbd.NBD_FLAG_SEND_TRIM);
    }

    public boolean canZero() {
        return has(Nbd.NBD_FLAG_SEND_WRITE_ZEROES);
    }

    public boolean multiConn() {
        return has(Nbd.NBD_FLAG_CAN_MULTI_CONN);
    }

    /** The names of the flags, in the order of their bits, without NBD_FLAG_ and HAS_FLAGS. */
    public List<String> flagNames() {
        String[] names = {
            "HAS_FLAGS",
            "READ_ONLY",
            "SEND_FLUSH",
            "SEND_FUA",
            "ROTATIONAL",
            "SEND_TRIM",
            "SEND_WRITE_ZEROES",
            "SEND_DF",
            "CAN_MULTI_CONN",
            "SEND_RESIZE",
            "SEND_CACHE",
            "SEND_FAST_ZERO",
            "BLOCK_STATUS_PAYLOAD"
        };
        List<String> set = new ArrayList<>();
        for (int bit = 1; bit < names.length; bit++) {
            if (has(1 << bit)) {
                set.add(names[bit]);
            }
        }
        return set;
    }
}

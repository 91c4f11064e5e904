package farsight.protocol;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Which metadata a client asks for (proto.md, NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT).
 *
 * @param export whose
 * @param queries {@code namespace:leaf}, or {@code namespace:} for all of it
 */
public record MetaContexts(String export, List<String> queries) {
    /** The one context that this server knows: holes and zeroes (proto.md, "The base:allocation metadata context"). */
    public static final String ALLOCATION = "base:allocation";

    /** The number that it has in replies. */
    public static final int ALLOCATION_ID = 1;

    private static final int MOST_QUERIES = 64;

    /** Reads the data of either option. Inner lengths must fill the outer one exactly. */
    public static MetaContexts parse(MemorySegment data) throws ProtocolException {
        long at = 0;
        String export = string(data, at, "export name");
        at += 4 + length(data, at);
        if (data.byteSize() - at < 4) {
            throw new ProtocolException("the option ends before its number of queries");
        }
        long count = Integer.toUnsignedLong(data.get(Wire.INT, at));
        at += 4;
        if (count > MOST_QUERIES) {
            throw new ProtocolException("the option has " + count + " queries; at most " + MOST_QUERIES + " are taken");
        }
        List<String> queries = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            queries.add(string(data, at, "query"));
            at += 4 + length(data, at);
        }
        if (at != data.byteSize()) {
            throw new ProtocolException("the option has " + (data.byteSize() - at) + " bytes after its queries");
        }
        return new MetaContexts(export, queries);
    }

    private static long length(MemorySegment data, long at) {
        return Integer.toUnsignedLong(data.get(Wire.INT, at));
    }

    private static String string(MemorySegment data, long at, String what) throws ProtocolException {
        if (data.byteSize() - at < 4 || length(data, at) > data.byteSize() - at - 4) {
            throw new ProtocolException("the " + what + " is longer than the option it is in");
        }
        return Text.read(data.asSlice(at + 4, length(data, at)), what);
    }

    /** Whether the client wants {@link #ALLOCATION}; no query at all means everything in a list, and nothing in a set. */
    public boolean wantsAllocation(boolean listing) {
        return listing && queries.isEmpty() || queries.contains(ALLOCATION) || listing && queries.contains("base:");
    }
}

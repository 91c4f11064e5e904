package farsight.protocol;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Which metadata a client asks for (proto.md, NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT).
 *
 * @param export whose
 * @param queries {@code namespace:leaf}, or {@code namespace:} for all of it; at most {@link #MOST_QUERIES} are kept
 * @param count how many queries there were
 */
public record MetaContexts(String export, List<String> queries, long count) {
    /** How many queries are looked at. */
    public static final int MOST_QUERIES = 64;

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
        List<String> queries = new ArrayList<>();
        // Each takes 4 bytes at least, so this ends with the option, whatever count says.
        for (long i = 0; i < count; i++) {
            String query = string(data, at, "query");
            at += 4 + length(data, at);
            if (query.indexOf(':') < 1) {
                throw new ProtocolException("the query " + Text.quote(query) + " has no namespace");
            }
            if (queries.size() < MOST_QUERIES) {
                queries.add(query);
            }
        }
        if (at != data.byteSize()) {
            throw new ProtocolException("the option has " + (data.byteSize() - at) + " bytes after its queries");
        }
        return new MetaContexts(export, queries, count);
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
}

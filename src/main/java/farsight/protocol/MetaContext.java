package farsight.protocol;

import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** A kind of metadata that this server knows of the blocks of an export (proto.md, "Metadata querying"). */
public enum MetaContext {
    /** Holes and zeroes (proto.md, "The base: metadata namespace"). */
    ALLOCATION("base:allocation", 1),
    /** What may have been changed since the server was started; see {@link Nbd#FARSIGHT_STATE_DIRTY}. */
    DIRTY("farsight:dirty", 2),
    /** Which layer data comes from: 0 none, 1 the overlay, 2 what is below it, and so on. */
    DEPTH("farsight:depth", 4);

    private final String contextName;
    private final int id;

    MetaContext(String contextName, int id) {
        this.contextName = contextName;
        this.id = id;
    }

    /** With its namespace. */
    public String contextName() {
        return contextName;
    }

    /** What stands for it in replies: a single bit, so that sets of contexts are numbers. */
    public int id() {
        return id;
    }

    /** The context with an id; null when there is none. */
    public static MetaContext of(int id) {
        for (MetaContext context : values()) {
            if (context.id == id) {
                return context;
            }
        }
        return null;
    }

    /** All ids of a set in one number. */
    public static int mask(Collection<MetaContext> contexts) {
        return contexts.stream().mapToInt(MetaContext::id).sum();
    }

    /**
     * What NBD_OPT_LIST_META_CONTEXT answers: all for no query, and a namespace alone stands for what is in it.
     *
     * @param available those of the export that is asked about
     */
    public static Set<MetaContext> listed(List<String> queries, Set<MetaContext> available) {
        Set<MetaContext> result = EnumSet.noneOf(MetaContext.class);
        for (MetaContext context : available) {
            String namespace = context.contextName.substring(0, context.contextName.indexOf(':') + 1);
            if (queries.isEmpty() || queries.contains(context.contextName) || queries.contains(namespace)) {
                result.add(context);
            }
        }
        return result;
    }

    /** What NBD_OPT_SET_META_CONTEXT selects: those that are named in full. */
    public static Set<MetaContext> selected(List<String> queries, Set<MetaContext> available) {
        Set<MetaContext> result = EnumSet.noneOf(MetaContext.class);
        for (MetaContext context : available) {
            if (queries.contains(context.contextName)) {
                result.add(context);
            }
        }
        return result;
    }
}

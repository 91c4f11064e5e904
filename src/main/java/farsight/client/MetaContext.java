package farsight.client;

/**
 * Metadata that a server offers or agreed to tell.
 *
 * @param id its number in replies to block status; 0 in lists
 * @param name {@code namespace:leaf}
 */
public record MetaContext(int id, String name) {
    // Those that the compiler makes are linked when they are first called, which takes a tenth of a client's start.

    @Override
    public boolean equals(Object other) {
        return other instanceof MetaContext that && id == that.id && name.equals(that.name);
    }

    @Override
    public int hashCode() {
        return 31 * id + name.hashCode();
    }
}

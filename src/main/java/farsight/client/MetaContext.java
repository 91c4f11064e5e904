package farsight.client;

/**
 * Metadata that a server offers or agreed to tell.
 *
 * @param id its number in replies to block status; 0 in lists
 * @param name {@code namespace:leaf}
 */
public record MetaContext(int id, String name) {}

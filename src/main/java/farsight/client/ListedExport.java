package farsight.client;

/**
 * One export of a server's list.
 *
 * @param description for people; empty when there is none
 */
public record ListedExport(String name, String description) {}

package farsight.config;

import farsight.backend.Settings;

/**
 * An export that the server's configuration names ({@code [exports.NAME]}).
 *
 * @param name what clients ask for: 1 to 4096 bytes of UTF-8, without NUL
 * @param backend which kind of storage; it needs no section of its own for this
 * @param settings values of the backend's export settings
 * @param readOnly whether writes are refused although the storage could take them
 * @param description one line for people; empty for the storage's own
 */
public record ExportConfig(String name, String backend, Settings settings, boolean readOnly, String description) {}

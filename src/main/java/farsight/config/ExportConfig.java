package farsight.config;

import farsight.backend.Settings;

/**
 * An export that the server's configuration names ({@code [exports.NAME]}).
 *
 * @param name what clients ask for: 1 to 4096 bytes of UTF-8, without NUL
 * @param backend which kind of storage. It needs no section of its own for this, if it has no required setting in one:
 *     an empty section is then meant, for the exports that the file names and not for names that clients type
 * @param settings values of the backend's export settings; with {@code read_only}, if it declares that
 * @param readOnly whether writes are refused, whatever the storage could take
 * @param description one line for people; empty for none
 * @param exactBlocks whether clients have to ask for the storage's block sizes and keep to them, so that no block is ever
 *     read, changed and written back
 * @param access who may open it
 */
public record ExportConfig(
        String name,
        String backend,
        Settings settings,
        boolean readOnly,
        String description,
        boolean exactBlocks,
        ExportAccess access) {

    /** For everybody. */
    public ExportConfig(
            String name, String backend, Settings settings, boolean readOnly, String description, boolean exactBlocks) {
        this(name, backend, settings, readOnly, description, exactBlocks, ExportAccess.OPEN);
    }

    /** Served in any blocks that clients like. */
    public ExportConfig(String name, String backend, Settings settings, boolean readOnly, String description) {
        this(name, backend, settings, readOnly, description, false);
    }
}

package farsight.config;

import farsight.backend.Settings;
import java.util.List;

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
 * @param rates how much may be asked of it
 * @param layers what lies over the storage, from it outward
 */
public record ExportConfig(
        String name,
        String backend,
        Settings settings,
        boolean readOnly,
        String description,
        boolean exactBlocks,
        ExportAccess access,
        ExportRates rates,
        List<LayerConfig> layers) {

    /** Without layers. */
    public ExportConfig(
            String name,
            String backend,
            Settings settings,
            boolean readOnly,
            String description,
            boolean exactBlocks,
            ExportAccess access,
            ExportRates rates) {
        this(name, backend, settings, readOnly, description, exactBlocks, access, rates, List.of());
    }

    /** For everybody, and as much as there is. */
    public ExportConfig(
            String name, String backend, Settings settings, boolean readOnly, String description, boolean exactBlocks) {
        this(
                name,
                backend,
                settings,
                readOnly,
                description,
                exactBlocks,
                ExportAccess.OPEN,
                ExportRates.NONE,
                List.of());
    }

    /** Served in any blocks that clients like. */
    public ExportConfig(String name, String backend, Settings settings, boolean readOnly, String description) {
        this(name, backend, settings, readOnly, description, false);
    }

    /** Whether nothing but who may open it and ask how much of it is different, so that what is open can go on. */
    public boolean servesLike(ExportConfig other) {
        return other != null && equals(other.with(access, rates));
    }

    private ExportConfig with(ExportAccess others, ExportRates limits) {
        return new ExportConfig(name, backend, settings, readOnly, description, exactBlocks, others, limits, layers);
    }
}

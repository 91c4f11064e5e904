package farsight.backend.memory;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Setting;
import farsight.backend.Settings;
import farsight.config.Sizes;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** {@code memory:512MiB}: zeroes at first, gone with the server. */
public final class MemoryProvider implements BackendProvider {
    private static final long DEFAULT_LIMIT = 16L << 30;

    @Override
    public String name() {
        return "memory";
    }

    @Override
    public String description() {
        return "memory of the server process";
    }

    @Override
    public List<Setting> serverSettings() {
        return List.of(Setting.optional(
                "limit", Setting.Type.SIZE, "how large all memory exports may be together (default 16GiB)"));
    }

    @Override
    public List<Setting> exportSettings() {
        return List.of(Setting.required("size", Setting.Type.SIZE, "how large the disk is, such as \"512MiB\""));
    }

    @Override
    public Settings parse(String spec) {
        return new Settings(Map.of("size", Sizes.parse(spec)));
    }

    @Override
    public String format(Settings export) {
        return Sizes.format(export.number("size").orElseThrow());
    }

    @Override
    public Backend configure(Settings server) throws IOException {
        return new MemoryBackend(server.number("limit").orElse(DEFAULT_LIMIT));
    }
}

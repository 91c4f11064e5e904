package farsight.config;

import farsight.backend.BackendProvider;
import farsight.backend.Settings;
import java.util.Map;

/**
 * {@code [backend]} of the client's file: a backend's name with its keys, or the name of an export. Both reach the server
 * as an export name, so what that cannot carry is a mistake here and not a surprise there. But {@code read_only} is the
 * client's own: its device then refuses writes.
 */
final class BackendSection {
    private static final String READ_ONLY = "read_only";

    private final Section section;
    private final Map<String, BackendProvider> providers;

    BackendSection(Section section, Map<String, BackendProvider> providers) {
        this.section = section;
        this.providers = providers;
    }

    /** Whether the device refuses writes, whatever the export takes. */
    boolean readOnly() {
        return section.flag(READ_ONLY, false);
    }

    /** The export name that the section stands for; anything when there are problems. */
    String exportName() {
        boolean plain = section.has("export");
        boolean named = section.has("name");
        if (plain && named) {
            section.problem(
                    "export", "[backend] has both name (a backend) and export (a name of the server's); leave one out");
        } else if (section.isPresent() && !plain && !named) {
            section.problem("[backend] needs name = \"...\" (a backend) or export = \"...\" (a name of the server's)");
        }
        String export = section.string("export", "");
        String name = section.string("name", null);
        if (plain) {
            if (!named) {
                section.rejectUnknown();
            }
            check("export", export);
            return export;
        }
        return name == null ? "" : fromSettings(name);
    }

    private String fromSettings(String name) {
        BackendProvider provider = providers.get(name);
        if (provider == null) {
            section.problem(
                    "name",
                    "no backend is called \"" + Values.shorten(name) + "\"; "
                            + Suggestion.backend(name, providers.keySet()));
            return "";
        }
        Settings settings = section.settings(provider.exportSettings());
        section.rejectUnknown();
        boolean complete = provider.exportSettings().stream()
                .allMatch(setting -> !setting.required() || settings.has(setting.name()));
        if (!complete) {
            return "";
        }
        try {
            String spec = provider.format(settings);
            Settings carried = provider.parse(spec);
            settings.values().forEach((key, value) -> arrives(key, value, carried));
            check("name", name + ":" + spec);
            return name + ":" + spec;
        } catch (IllegalArgumentException e) {
            section.problem("name", "[backend]: " + e.getMessage());
            return "";
        }
    }

    /** {@code false} and {@code ""} are what a setting is when nothing is said. */
    private void arrives(String key, Object value, Settings carried) {
        boolean says = !value.equals(false) && !value.equals("") && !key.equals(READ_ONLY);
        if (says && !value.equals(carried.values().get(key))) {
            section.problem(
                    key,
                    "[backend] " + key + " cannot be part of an export name; set it on the server, in an [exports.NAME]"
                            + " with this backend, and write export = \"NAME\" here");
        }
    }

    private void check(String key, String export) {
        ExportName.problem(export)
                .ifPresent(problem -> section.problem(key, "[backend]: the export's name " + problem));
    }
}

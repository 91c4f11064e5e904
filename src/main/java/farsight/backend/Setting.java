package farsight.backend;

import java.util.Optional;

/**
 * One key of a backend's configuration: in its section of the server's file, or in an export's table, the client's
 * {@code [backend]} section and the export name. Unknown keys are errors, so a backend declares all that it reads.
 *
 * @param name as written in TOML
 * @param type what it holds
 * @param required whether it is an error to leave it out
 * @param description one sentence for people
 */
public record Setting(String name, Type type, boolean required, String description) {

    /** What a setting may hold, and the Java type that {@link Settings} gives for it. */
    public enum Type {
        STRING("a string"),
        INTEGER("a whole number"),
        BOOLEAN("true or false"),
        /** Bytes: a whole number, or a string with a unit (KiB, MiB, GiB, TiB; K, M, G, T mean the same). */
        SIZE("a size such as 4096 or \"512MiB\""),
        /** A time: whole seconds, or a string with a unit (ms, s, m, h). */
        DURATION("a time such as 30 or \"500ms\""),
        STRINGS("an array of strings"),
        /** A table of strings. */
        TABLE("a table of strings");

        private final String description;

        Type(String description) {
            this.description = description;
        }

        /** How an error message names it. */
        public String description() {
            return description;
        }
    }

    public static Setting required(String name, Type type, String description) {
        return new Setting(name, type, true, description);
    }

    public static Setting optional(String name, Type type, String description) {
        return new Setting(name, type, false, description);
    }

    /** The setting of that name in a list of declared ones. */
    public static Optional<Setting> named(Iterable<Setting> settings, String name) {
        for (Setting setting : settings) {
            if (setting.name().equals(name)) {
                return Optional.of(setting);
            }
        }
        return Optional.empty();
    }
}

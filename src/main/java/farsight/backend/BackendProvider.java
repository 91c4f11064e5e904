package farsight.backend;

import java.io.IOException;
import java.util.List;

/**
 * How a kind of storage is found and named. Implementations have a public constructor without parameters and are
 * declared as services (in {@code module-info}, or in {@code META-INF/services/farsight.backend.BackendProvider}).
 */
public interface BackendProvider {

    /** The name of its section in the server's file and the first word of its export names; lower case letters. */
    String name();

    /** One line for people. */
    default String description() {
        return name();
    }

    /** The keys of the server's section {@code [name]}. */
    default List<Setting> serverSettings() {
        return List.of();
    }

    /** The keys that choose one storage: of {@code [exports.NAME]} and of the client's {@code [backend]}. */
    default List<Setting> exportSettings() {
        return List.of();
    }

    /**
     * Reads what follows {@code name:} in an export name that a client typed, such as {@code 512MiB} or
     * {@code pool/image@snap}.
     *
     * @throws IllegalArgumentException with a message that says what is wrong with it
     */
    default Settings parse(String spec) {
        if (!spec.isEmpty()) {
            throw new IllegalArgumentException("'" + name() + ":' takes nothing after the colon, not '" + spec + "'");
        }
        return Settings.NONE;
    }

    /** The inverse of {@link #parse}: what a client with these settings sends after {@code name:}. */
    default String format(Settings export) {
        return "";
    }

    /**
     * Makes the backend of one server. Must not connect or open anything: what is missing shows when an export is opened.
     *
     * @param server values for {@link #serverSettings}
     * @throws IOException when the settings cannot be right, whatever is installed
     */
    Backend configure(Settings server) throws IOException;
}

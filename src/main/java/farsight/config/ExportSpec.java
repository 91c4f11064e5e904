package farsight.config;

import farsight.backend.BackendProvider;
import farsight.backend.Settings;
import java.util.Map;

/**
 * What an export is, in one word that a person can type: {@code backend:rest}, where the backend says what may follow.
 *
 * @param backend the name of a provider that exists
 * @param settings values for that provider's export settings
 */
public record ExportSpec(String backend, Settings settings) {

    /**
     * Reads {@code BACKEND:REST}, for example {@code file:/srv/disk.img}.
     *
     * @param providers the kinds of storage that exist, by name
     * @throws IllegalArgumentException with a message for people
     */
    public static ExportSpec parse(String text, Map<String, BackendProvider> providers) {
        int colon = text.indexOf(':');
        if (colon < 1) {
            throw new IllegalArgumentException("'" + text + "' is not BACKEND:WHAT, such as file:/srv/disk.img");
        }
        String backend = text.substring(0, colon);
        BackendProvider provider = providers.get(backend);
        if (provider == null) {
            throw new IllegalArgumentException("no backend is called '" + backend + "'; "
                    + Suggestion.backend(backend, providers.keySet()).replace('"', '\''));
        }
        return new ExportSpec(backend, provider.parse(text.substring(colon + 1)));
    }

    /**
     * Reads {@code NAME=BACKEND:REST}, for example {@code disk=file:/srv/disk.img}; the name ends at the first equals
     * sign.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static ExportConfig parseNamed(String text, Map<String, BackendProvider> providers) {
        int equals = text.indexOf('=');
        if (equals < 1) {
            throw new IllegalArgumentException(
                    "export '" + text + "' is not NAME=BACKEND:WHAT, such as disk=file:/srv/disk.img");
        }
        String name = text.substring(0, equals);
        try {
            ExportName.problem(name).ifPresent(problem -> {
                throw new IllegalArgumentException("the name " + problem);
            });
            ExportSpec spec = parse(text.substring(equals + 1), providers);
            return new ExportConfig(name, spec.backend(), spec.settings(), false, "");
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("export '" + Values.shorten(name) + "': " + e.getMessage(), e);
        }
    }
}

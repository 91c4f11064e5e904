package farsight.config;

import farsight.backend.BackendProvider;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** The kinds of storage that are installed. */
public final class InstalledBackends {
    /** What is a section of the server's file and the beginning of export names. */
    private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9_-]*");

    /** Sections that are the server's own. */
    private static final Set<String> TAKEN = Set.of("server", "exports");

    private InstalledBackends() {}

    /** The built-in ones, by name. */
    public static Map<String, BackendProvider> all() {
        Map<String, BackendProvider> providers = new TreeMap<>();
        ServiceLoader.load(BackendProvider.class).forEach(provider -> add(providers, provider));
        return providers;
    }

    /**
     * Those and the ones of {@code plugin_path}.
     *
     * @throws IOException one line, when one of them cannot be loaded
     */
    public static Map<String, BackendProvider> all(List<Path> pluginPath) throws IOException {
        Map<String, BackendProvider> providers = all();
        Plugins.load(pluginPath).forEach(provider -> add(providers, provider));
        return providers;
    }

    private static void add(Map<String, BackendProvider> providers, BackendProvider provider) {
        String name = provider.name();
        String type = provider.getClass().getName();
        if (!NAME.matcher(name).matches() || TAKEN.contains(name)) {
            throw new IllegalArgumentException(type + " calls its backend '" + name
                    + "'; that must be lower case letters, and not one of " + TAKEN);
        }
        BackendProvider other = providers.putIfAbsent(name, provider);
        if (other != null) {
            throw new IllegalArgumentException(type + " calls its backend '" + name + "', as does "
                    + other.getClass().getName() + ": leave one of them out of plugin_path");
        }
    }
}

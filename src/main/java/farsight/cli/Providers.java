package farsight.cli;

import farsight.backend.BackendProvider;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** The kinds of storage that are installed. */
final class Providers {
    /** What is a section of the server's file and the beginning of export names. */
    private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9_-]*");

    /** Sections that are the server's own. */
    private static final Set<String> TAKEN = Set.of("server", "exports");

    private Providers() {}

    /** By name; of two with one name the first that is found. */
    static Map<String, BackendProvider> installed() {
        Map<String, BackendProvider> providers = new TreeMap<>();
        for (BackendProvider provider : ServiceLoader.load(BackendProvider.class)) {
            String name = provider.name();
            if (!NAME.matcher(name).matches() || TAKEN.contains(name)) {
                throw new IllegalArgumentException(provider.getClass().getName() + " calls its backend '" + name
                        + "'; that must be lower case" + " letters, and not one of " + TAKEN);
            }
            providers.putIfAbsent(name, provider);
        }
        return providers;
    }
}

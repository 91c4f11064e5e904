package farsight.cli;

import farsight.backend.BackendProvider;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;

/** The kinds of storage that are installed. */
final class Providers {
    private Providers() {}

    static Map<String, BackendProvider> installed() {
        Map<String, BackendProvider> providers = new TreeMap<>();
        for (BackendProvider provider : ServiceLoader.load(BackendProvider.class)) {
            providers.putIfAbsent(provider.name(), provider);
        }
        return providers;
    }
}

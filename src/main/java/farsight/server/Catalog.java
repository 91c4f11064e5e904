package farsight.server;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Settings;
import farsight.config.ExportConfig;
import farsight.config.ServerConfig;
import farsight.protocol.Text;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a configuration offers: immutable, so that another one takes its place as a whole.
 *
 * @param config where it comes from
 * @param providers the kinds of storage that exist
 * @param backends those that exports may use, by name
 */
record Catalog(ServerConfig config, Map<String, BackendProvider> providers, Map<String, Backend> backends) {

    /**
     * Sets up the backends of a configuration; those that it has in common with an earlier one are taken over from that.
     *
     * @param before null for none
     * @throws IOException when a backend cannot be right; nothing new is left open then
     */
    static Catalog of(ServerConfig config, Map<String, BackendProvider> providers, Catalog before) throws IOException {
        Map<String, Settings> wanted = new HashMap<>(config.backends());
        for (ExportConfig export : config.exports().values()) {
            wanted.putIfAbsent(export.backend(), Settings.NONE);
        }
        Map<String, Backend> backends = new HashMap<>();
        List<Backend> fresh = new ArrayList<>();
        try {
            for (Map.Entry<String, Settings> section : wanted.entrySet()) {
                String name = section.getKey();
                Backend backend = before == null ? null : before.same(name, section.getValue());
                if (backend == null) {
                    backend = providers.get(name).configure(section.getValue());
                    fresh.add(backend);
                }
                backends.put(name, backend);
            }
        } catch (IOException | RuntimeException e) {
            for (Backend backend : fresh) {
                backend.close();
            }
            throw e;
        }
        return new Catalog(config, providers, Map.copyOf(backends));
    }

    private Backend same(String name, Settings settings) {
        boolean equal = config.backends().getOrDefault(name, Settings.NONE).equals(settings);
        return equal ? backends.get(name) : null;
    }

    /** Exports by name. */
    Map<String, ExportConfig> configured() {
        return config.exports();
    }

    /** The backends of which clients may name exports themselves. */
    Set<String> typed() {
        return config.backends().keySet();
    }

    /** The backend of an export that a client may name itself; null when this name is none. */
    Backend typed(String name) {
        int colon = name.indexOf(':');
        return colon < 0 || !typed().contains(name.substring(0, colon)) ? null : backends.get(name.substring(0, colon));
    }

    /** What such a name means. */
    Settings parse(String name) {
        int colon = name.indexOf(':');
        return providers.get(name.substring(0, colon)).parse(name.substring(colon + 1));
    }

    /** The empty name is the only export, if there is but one. */
    String canonical(String asked) {
        return asked.isEmpty() && configured().size() == 1
                ? configured().keySet().iterator().next()
                : asked;
    }

    /** Why there is no export of a name. */
    String unknown(String name) {
        int colon = name.indexOf(':');
        if (name.isEmpty()) {
            return "there is no default export; name one";
        }
        if (colon > 0 && providers.containsKey(name.substring(0, colon))) {
            return "exports of backend '" + name.substring(0, colon)
                    + "' are not served by name here: the server's file has no section for it";
        }
        return "no export has the name " + Text.quote(name);
    }
}

package farsight.config;

import farsight.backend.BackendProvider;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The server's configuration.
 *
 * @param listen where; not empty
 * @param limits what clients may do
 * @param loops threads that serve connections; 0 for one per processor
 * @param backends the sections of backends: exports of these may be named by clients
 * @param exports by name
 */
public record ServerConfig(
        List<ListenAddress> listen,
        Limits limits,
        int loops,
        Map<String, Settings> backends,
        Map<String, ExportConfig> exports) {
    /** The default for {@code port}. */
    public static final int DEFAULT_PORT = 10809;

    private static final int MOST_LOOPS = 256;

    public ServerConfig {
        listen = List.copyOf(listen);
        backends = Map.copyOf(backends);
        exports = Map.copyOf(exports);
    }

    /**
     * Reads a file.
     *
     * @param providers the kinds of storage that exist, by name
     * @throws ConfigException with every mistake in it
     */
    public static ServerConfig load(Path path, Map<String, BackendProvider> providers) throws IOException {
        return read(TomlFile.read(path), providers);
    }

    static ServerConfig parse(String name, String text, Map<String, BackendProvider> providers) throws IOException {
        return read(TomlFile.parse(name, text), providers);
    }

    private static ServerConfig read(TomlFile file, Map<String, BackendProvider> providers) throws ConfigException {
        Section root = file.root();
        Section server = root.table("server");
        List<ListenAddress> listen = listen(server);
        Limits limits = limits(server);
        int loops = (int) server.integer("loops", 0, MOST_LOOPS, 0);
        server.rejectUnknown();

        Section exportTables = root.table("exports");
        Map<String, Settings> backends = new LinkedHashMap<>();
        providers.forEach((name, provider) -> {
            Section section = root.table(name);
            if (section.isPresent()) {
                backends.put(name, section.settings(provider.serverSettings()));
                section.rejectUnknown();
            }
        });
        Map<String, ExportConfig> exports = new LinkedHashMap<>();
        for (String name : exportTables.keys()) {
            ExportConfig export = export(name, exportTables.table(name), providers);
            if (export != null) {
                exports.put(name, export);
            }
        }
        root.rejectUnknown();
        file.finish();
        return new ServerConfig(listen, limits, loops, backends, exports);
    }

    private static List<ListenAddress> listen(Section server) {
        boolean unixOnly = server.has("unix") && !server.has("address") && !server.has("port");
        List<String> addresses = server.strings("address", List.of("localhost"));
        int port = (int) server.integer("port", 0, 65535, DEFAULT_PORT);
        List<ListenAddress> listen = new ArrayList<>();
        if (!unixOnly) {
            if (addresses.isEmpty()) {
                server.problem("address", "[server] address is empty; write \"::\" for every address of this machine");
            }
            addresses.forEach(host -> listen.add(new ListenAddress.Tcp(host, port)));
        }
        for (String path : server.strings("unix", List.of())) {
            if (path.isEmpty() || path.getBytes(StandardCharsets.UTF_8).length > 107) {
                server.problem("unix", "[server] unix must be a path of 1 to 107 bytes");
            }
            listen.add(new ListenAddress.Unix(path));
        }
        return listen;
    }

    private static Limits limits(Section server) {
        Limits defaults = Limits.DEFAULT;
        int connections = (int) server.integer("max_connections", 1, 1 << 20, defaults.maxConnections());
        int requests = (int) server.integer("max_requests", 1, 1 << 16, defaults.maxRequests());
        long bytes = server.size("max_bytes", 1 << 20, 1L << 40, defaults.maxBytes());
        int errors = (int) server.integer("max_errors", 0, Integer.MAX_VALUE, defaults.maxErrors());
        int options = (int) server.integer("max_options", 1, 1 << 16, defaults.maxOptions());
        Duration handshake = server.duration("handshake_timeout", defaults.handshakeTimeout());
        if (handshake.isZero()) {
            server.problem("handshake_timeout", "[server] handshake_timeout must be more than 0; 10 is usual");
        }
        long pool = server.size("pool", 16 << 20, 1L << 42, defaults.poolBytes());
        return new Limits(connections, requests, bytes, errors, options, handshake, pool);
    }

    private static ExportConfig export(String name, Section table, Map<String, BackendProvider> providers) {
        if (!table.isPresent()) {
            return null;
        }
        byte[] encoded = name.getBytes(StandardCharsets.UTF_8);
        if (encoded.length == 0 || encoded.length > 4096 || name.indexOf('\0') >= 0) {
            table.problem("an export's name must have 1 to 4096 bytes and no NUL");
        }
        String backend = table.string("backend", null);
        String description = table.string("description", "");
        boolean readOnly = table.flag("read_only", false);
        if (backend == null) {
            if (!table.has("backend")) {
                table.problem("[" + table.name() + "] needs backend = \"...\": one of " + names(providers));
            }
            return null;
        }
        BackendProvider provider = providers.get(backend);
        if (provider == null) {
            String hint = Suggestion.of(backend, providers.keySet())
                    .map(word -> "did you mean \"" + word + "\"?")
                    .orElse("there are " + names(providers));
            table.problem("backend", "no backend is called \"" + backend + "\"; " + hint);
            return null;
        }
        Settings settings = table.settings(provider.exportSettings());
        table.rejectUnknown();
        boolean passedOn = Setting.named(provider.exportSettings(), "read_only").isPresent();
        return new ExportConfig(name, backend, settings, readOnly && !passedOn, description);
    }

    private static String names(Map<String, BackendProvider> providers) {
        return String.join(", ", providers.keySet().stream().sorted().toList());
    }
}

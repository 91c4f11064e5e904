package farsight.config;

import farsight.backend.BackendProvider;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The server's configuration.
 *
 * @param listen where; not empty
 * @param limits what clients may do
 * @param loops the threads that serve connections
 * @param backends the sections of backends: exports of these may be named by clients
 * @param exports by name
 * @param pluginPath jars, and directories of jars, with further backends
 * @param tls whether and how connections are encrypted
 * @param metrics where its figures are told over HTTP, if anywhere
 */
public record ServerConfig(
        List<ListenAddress> listen,
        Limits limits,
        Loops loops,
        Map<String, Settings> backends,
        Map<String, ExportConfig> exports,
        List<Path> pluginPath,
        TlsConfig tls,
        Optional<ListenAddress.Tcp> metrics) {
    /** The default for {@code port}: what IANA has assigned to NBD. */
    public static final int DEFAULT_PORT = 10809;

    /** What a file without a line in it means: the loopback addresses, and nothing to serve there yet. */
    public static final ServerConfig DEFAULT = new ServerConfig(
            List.of(new ListenAddress.Tcp("localhost", DEFAULT_PORT)),
            Limits.DEFAULT,
            Loops.DEFAULT,
            Map.of(),
            Map.of());

    public ServerConfig {
        listen = List.copyOf(listen);
        backends = Map.copyOf(backends);
        exports = Map.copyOf(exports);
        pluginPath = List.copyOf(pluginPath);
    }

    /** Without TLS, and without figures over HTTP. */
    public ServerConfig(
            List<ListenAddress> listen,
            Limits limits,
            Loops loops,
            Map<String, Settings> backends,
            Map<String, ExportConfig> exports,
            List<Path> pluginPath) {
        this(listen, limits, loops, backends, exports, pluginPath, TlsConfig.OFF, Optional.empty());
    }

    /** Without figures over HTTP. */
    public ServerConfig(
            List<ListenAddress> listen,
            Limits limits,
            Loops loops,
            Map<String, Settings> backends,
            Map<String, ExportConfig> exports,
            List<Path> pluginPath,
            TlsConfig tls) {
        this(listen, limits, loops, backends, exports, pluginPath, tls, Optional.empty());
    }

    /** Without a plugin path. */
    public ServerConfig(
            List<ListenAddress> listen,
            Limits limits,
            Loops loops,
            Map<String, Settings> backends,
            Map<String, ExportConfig> exports) {
        this(listen, limits, loops, backends, exports, List.of());
    }

    public ServerConfig withListen(List<ListenAddress> addresses) {
        return new ServerConfig(addresses, limits, loops, backends, exports, pluginPath, tls, metrics);
    }

    public ServerConfig withLimits(Limits others) {
        return new ServerConfig(listen, others, loops, backends, exports, pluginPath, tls, metrics);
    }

    public ServerConfig withExports(Map<String, ExportConfig> others) {
        return new ServerConfig(listen, limits, loops, backends, others, pluginPath, tls, metrics);
    }

    private static final String PLUGIN_PATH = "plugin_path";

    /**
     * Where a file says that further backends are: to be read before anything else of it, because they have sections.
     * What else is wrong with the file is left to {@link #load}.
     *
     * @param path the file; null for the environment alone
     */
    public static List<Path> pluginPath(Path path) throws IOException {
        Environment environment = Environment.ofThisProcess();
        boolean said = environment.get(Environment.variable(Environment.ROOT + "_SERVER", PLUGIN_PATH)) != null;
        // To parse a file twice would be felt at every start.
        if (!said && (path == null || !TomlFile.mentions(path, PLUGIN_PATH))) {
            return List.of();
        }
        TomlFile file =
                path == null ? TomlFile.parse("environment", "", environment) : TomlFile.read(path, environment);
        return new ServerSection(file.root().table("server")).pluginPath();
    }

    /**
     * Reads a file, whose keys may be overridden by variables of the environment.
     *
     * @param providers the kinds of storage that exist, by name
     * @throws ConfigException with every mistake in it
     */
    public static ServerConfig load(Path path, Map<String, BackendProvider> providers) throws IOException {
        return read(TomlFile.read(path, Environment.ofThisProcess()), providers);
    }

    /**
     * What is said without a file, by variables of the environment.
     *
     * @throws ConfigException with every mistake in them
     */
    public static ServerConfig ofEnvironment(Map<String, BackendProvider> providers) throws IOException {
        return parse("environment", "", Environment.ofThisProcess(), providers);
    }

    /**
     * What a text says, whatever the environment does.
     *
     * @param name of the text, for messages
     * @param providers the kinds of storage that exist, by name
     * @throws ConfigException with every mistake in it
     */
    public static ServerConfig parse(String name, String text, Map<String, BackendProvider> providers)
            throws IOException {
        return parse(name, text, Environment.EMPTY, providers);
    }

    static ServerConfig parse(String name, String text, Environment environment, Map<String, BackendProvider> providers)
            throws IOException {
        return read(TomlFile.parse(name, text, environment), providers);
    }

    private static ServerConfig read(TomlFile file, Map<String, BackendProvider> providers) throws ConfigException {
        Section root = file.root();
        ServerSection server = new ServerSection(root.table("server"));
        List<ListenAddress> listen = server.listen();
        Limits limits = server.limits();
        Loops loops = server.loops();
        List<Path> pluginPath = server.pluginPath();
        TlsConfig tls = server.tls();
        Optional<ListenAddress.Tcp> metrics = server.metrics();
        server.finish();

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
            ExportConfig export = export(name, exportTables.table(name), providers, backends, tls);
            if (export != null) {
                exports.put(name, export);
            }
        }
        exportTables.rejectUnknown();
        root.rejectUnknown("which is no backend that is installed");
        file.finish();
        return new ServerConfig(listen, limits, loops, backends, exports, pluginPath, tls, metrics);
    }

    private static ExportConfig export(
            String name,
            Section table,
            Map<String, BackendProvider> providers,
            Map<String, Settings> backends,
            TlsConfig tls) {
        if (!table.isPresent()) {
            return null;
        }
        ExportName.problem(name).ifPresent(problem -> table.problem("the name of this export " + problem));
        if (name.isEmpty()) {
            table.problem("an export needs a name, such as [exports.disk]");
        }
        String backend = table.string("backend", null);
        String description = table.string("description", "");
        // The protocol has one rule for all its strings.
        ExportName.problem(description)
                .ifPresent(problem -> table.problem("description", table.title() + " description " + problem));
        boolean readOnly = table.flag("read_only", false);
        boolean exactBlocks = table.flag("exact_blocks", false);
        ExportAccess access = ExportAccess.read(table, tls);
        ExportRates rates = ExportRates.read(table);
        List<LayerConfig> layers = LayerConfig.read(table);
        if (backend == null) {
            if (!table.has("backend")) {
                String all =
                        String.join(", ", providers.keySet().stream().sorted().toList());
                table.problem(table.title() + " needs backend = \"...\": one of " + all);
            }
            return null;
        }
        BackendProvider provider = providers.get(backend);
        if (provider == null) {
            table.problem(
                    "backend",
                    "no backend is called \"" + Values.shorten(backend) + "\"; "
                            + Suggestion.backend(backend, providers.keySet()));
            return null;
        }
        Settings settings = table.settings(provider.exportSettings());
        table.rejectUnknown();
        if (!backends.containsKey(backend)) {
            needsNoSection(table, provider);
        }
        return new ExportConfig(name, backend, settings, readOnly, description, exactBlocks, access, rates, layers);
    }

    /** An empty section is implied for exports that the file names; it must be one that would do. */
    private static void needsNoSection(Section table, BackendProvider provider) {
        for (Setting setting : provider.serverSettings()) {
            if (setting.required()) {
                table.problem(
                        "backend",
                        table.title() + " needs the section [" + provider.name() + "] with " + setting.name()
                                + " = ...: " + setting.description());
            }
        }
    }
}

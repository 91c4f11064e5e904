package farsight.cli;

import farsight.backend.BackendProvider;
import farsight.config.ConfigException;
import farsight.config.ExportConfig;
import farsight.config.ExportSpec;
import farsight.config.InstalledBackends;
import farsight.config.ListenAddress;
import farsight.config.NbdUri;
import farsight.config.ServerConfig;
import farsight.server.Server;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code farsight server}. */
@Command(
        name = "server",
        mixinStandardHelpOptions = true,
        description = "Serve storage over NBD until a signal ends it.",
        footer = {
            "",
            "Without a file, an export is all it takes:",
            "  farsight server --export disk=memory:512MiB --listen unix:/tmp/disk.sock",
            "",
            "Sockets passed by systemd, or by a client such as libnbd's (LISTEN_FDS), replace all addresses:",
            "  nbdinfo -- [ farsight server --export disk=file:disk.img ]"
        })
final class ServerCommand implements Callable<Integer> {
    /** How long a loop may take to answer before the service manager's watchdog is not told that it works. */
    private static final Duration RESPONSE_LIMIT = Duration.ofSeconds(10);

    private static final Logger LOG = System.getLogger(ServerCommand.class.getName());

    @Spec
    private CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "CONFIG", description = "The server's TOML file.")
    private Path file;

    @Option(
            names = "--export",
            paramLabel = "NAME=SPEC",
            description = "One more export, such as disk=file:/srv/disk.img or ram=memory:1GiB; instead of the file's,"
                    + " if that has one of this name. May be repeated.")
    private List<String> exports = new ArrayList<>();

    @Option(
            names = "--listen",
            paramLabel = "ADDRESS",
            converter = Words.Address.class,
            description = "HOST:PORT, [IPV6]:PORT or unix:PATH, in place of the file's. May be repeated.")
    private List<ListenAddress> addresses = new ArrayList<>();

    @Option(
            names = "--max-errors",
            paramLabel = "N",
            description = "How many invalid requests of a client are answered before it is disconnected, in place of"
                    + " the file's max_errors (default 10).")
    private Integer maxErrors;

    @Option(names = "--stdio", description = "Serve one connection on standard input and output, and end with it.")
    private boolean standardStreams;

    /** For picocli, which fills it in. */
    ServerCommand() {}

    /** @param file null for none */
    ServerCommand(Path file, List<String> exports, List<ListenAddress> addresses) {
        this.file = file;
        this.exports = exports;
        this.addresses = addresses;
    }

    @Override
    public Integer call() throws Exception {
        Map<String, BackendProvider> providers = InstalledBackends.all(ServerConfig.pluginPath(file));
        ServerConfig config = configuration(providers);
        StandardStreams streams = standardStreams ? StandardStreams.open() : null;
        List<Integer> sockets = standardStreams
                ? List.of(streams.socket())
                : Activation.sockets(System.getenv(), ProcessHandle.current().pid());
        Service service = Service.ofThisProcess();
        Server server = Server.start(config, providers, sockets);
        Stop.onSignal(() -> {
            service.stopping();
            server.close();
        });
        String where = server.uris().isEmpty()
                ? "one connection"
                : server.uris().getFirst().toString();
        if (file != null) {
            Hangup.onSignal(new Reload(server, service, () -> configuration(providers), config, where));
        }
        server.metrics().ifPresent(ServerCommand::printMetrics);
        if (sockets.isEmpty()) {
            for (NbdUri uri : server.uris()) {
                System.out.println("farsight: serving " + uri);
            }
            System.out.flush();
        } // else whoever gave the sockets knows them, and standard output may be one of them or his own
        service.ready("serving " + where, () -> server.isResponsive(RESPONSE_LIMIT));
        server.awaitStop();
        if (streams != null) {
            streams.awaitEnd();
        }
        return 0;
    }

    private static void printMetrics(InetSocketAddress address) {
        String host = address.getAddress().getHostAddress();
        // Standard output may be the connection itself.
        LOG.log(
                Level.INFO,
                "metrics on http://{0}:{1}/metrics",
                host.indexOf(':') < 0 ? host : "[" + host + "]",
                Integer.toString(address.getPort()));
    }

    private ServerConfig configuration(Map<String, BackendProvider> providers) throws IOException {
        // The words first: when they are wrong, nothing else is looked at.
        if (standardStreams && !addresses.isEmpty()) {
            throw new ParameterException(commandLine(), "--stdio serves one connection; leave out --listen");
        }
        Map<String, ExportConfig> more = moreExports(providers);
        if (maxErrors != null && maxErrors < 0) {
            throw new ParameterException(commandLine(), "--max-errors must be 0 or more, not " + maxErrors);
        }
        if (file == null && more.isEmpty()) {
            throw new ParameterException(
                    commandLine(), "nothing to serve: give a configuration file, or --export NAME=SPEC");
        }
        ServerConfig config = file == null ? ServerConfig.ofEnvironment(providers) : ServerConfig.load(file, providers);
        Map<String, ExportConfig> all = new HashMap<>(config.exports());
        all.putAll(more);
        if (all.isEmpty() && config.backends().isEmpty()) {
            throw new ConfigException(file + ": nothing to serve; add an export ([exports.NAME]) or the section of a"
                    + " backend: " + String.join(", ", providers.keySet()));
        }
        return config.withExports(all)
                .withListen(addresses.isEmpty() ? config.listen() : addresses)
                .withLimits(
                        maxErrors == null ? config.limits() : config.limits().withMaxErrors(maxErrors));
    }

    private CommandLine commandLine() {
        return spec == null ? Main.commandLine("server").getSubcommands().get("server") : spec.commandLine();
    }

    private Map<String, ExportConfig> moreExports(Map<String, BackendProvider> providers) {
        Map<String, ExportConfig> more = new LinkedHashMap<>();
        for (String text : exports) {
            try {
                ExportConfig export = ExportSpec.parseNamed(text, providers);
                if (more.put(export.name(), export) != null) {
                    throw new IllegalArgumentException("export '" + export.name() + "' is given twice");
                }
            } catch (IllegalArgumentException e) {
                throw new ParameterException(commandLine(), "--export: " + e.getMessage(), e);
            }
        }
        return more;
    }
}

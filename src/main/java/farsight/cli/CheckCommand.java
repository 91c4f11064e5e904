package farsight.cli;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.client.ClientHandshake;
import farsight.client.ClientSocket;
import farsight.client.Negotiated;
import farsight.config.ClientConfig;
import farsight.config.ConfigException;
import farsight.config.ConfigKind;
import farsight.config.ExportConfig;
import farsight.config.InstalledBackends;
import farsight.config.ServerConfig;
import farsight.config.Sizes;
import farsight.config.TlsConfig;
import farsight.server.Chain;
import farsight.tls.TlsServer;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code farsight check}. */
@Command(
        name = "check",
        mixinStandardHelpOptions = true,
        description = "Say everything that is wrong with a configuration file, of a server or of a client.",
        footer = {
            "",
            "Which of them it is, is told by its sections. Exit status 0 when it can be used, 1 when not.",
            "  farsight check /etc/farsight/server.toml && systemctl reload farsight-server"
        })
final class CheckCommand implements Callable<Integer> {
    private static final Duration CONNECT_LIMIT = Duration.ofSeconds(10);

    @Parameters(paramLabel = "CONFIG", description = "The TOML file.")
    private Path file;

    @Option(
            names = "--open",
            description =
                    "Also open each export as the server would (which makes files that are to be made), or ask the"
                            + " client's server for its export.")
    private boolean open;

    @Override
    public Integer call() throws IOException {
        return switch (ConfigKind.of(file)) {
            case SERVER -> server();
            case CLIENT -> client();
        };
    }

    private int server() throws IOException {
        Map<String, BackendProvider> providers = InstalledBackends.all(ServerConfig.pluginPath(file));
        ServerConfig config = ServerConfig.load(file, providers);
        if (config.exports().isEmpty() && config.backends().isEmpty()) {
            throw new ConfigException(file + ": nothing to serve; add an export ([exports.NAME]) or the section of a"
                    + " backend: " + String.join(", ", providers.keySet()));
        }
        TlsConfig tls = config.tls();
        if (tls.mode() != TlsConfig.Mode.OFF) {
            new TlsServer(tls.certificates(), tls.verifyClients(), tls.versions());
        }
        int failed = open ? open(config, providers) : 0;
        if (failed > 0) {
            return 1;
        }
        System.out.println(file + ": good configuration of a server, "
                + (config.exports().size() == 1 ? "1 export" : config.exports().size() + " exports"));
        return 0;
    }

    /** Opens all exports; how many of them could not be. */
    private int open(ServerConfig config, Map<String, BackendProvider> providers) throws IOException {
        int failed = 0;
        Map<String, Backend> backends = new HashMap<>();
        try {
            for (ExportConfig export : new TreeMap<>(config.exports()).values()) {
                try {
                    String name = export.backend();
                    if (!backends.containsKey(name)) {
                        Settings section = config.backends().getOrDefault(name, Settings.NONE);
                        backends.put(name, providers.get(name).configure(section));
                    }
                    try (Device device =
                            Chain.over(name, backends.get(name).open(export.settings()), export.layers())) {
                        System.out.println(label(export) + ": opened, " + Sizes.format(device.size())
                                + (device.readOnly() || export.readOnly() ? ", read-only" : ""));
                    }
                } catch (IOException | RuntimeException e) {
                    failed++;
                    System.err.println("farsight: " + label(export) + ": cannot be opened: " + e.getMessage());
                }
            }
        } finally {
            for (Backend backend : backends.values()) {
                backend.close();
            }
        }
        return failed;
    }

    private String label(ExportConfig export) {
        return file + ": [exports." + Words.printable(export.name()) + "]";
    }

    private int client() throws IOException {
        ClientConfig config = ClientConfig.load(file, InstalledBackends.all());
        if (open) {
            try (ClientSocket socket = ClientSocket.connect(config.server(), CONNECT_LIMIT)) {
                Negotiated export = ClientHandshake.describe(socket, config.exportName());
                System.out.println(file + ": " + config.server() + ": there, " + Sizes.format(export.size())
                        + (export.readOnly() ? ", read-only" : ""));
            } catch (IOException e) {
                throw new IOException(file + ": " + config.server() + ": " + e.getMessage(), e);
            }
        }
        System.out.println(file + ": good configuration of a client");
        return 0;
    }
}

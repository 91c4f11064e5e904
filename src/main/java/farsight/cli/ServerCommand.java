package farsight.cli;

import farsight.backend.BackendProvider;
import farsight.backend.Settings;
import farsight.config.ConfigException;
import farsight.config.ExportConfig;
import farsight.config.ExportSpec;
import farsight.config.Limits;
import farsight.config.ListenAddress;
import farsight.config.NbdUri;
import farsight.config.ServerConfig;
import farsight.server.Server;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code farsight server}. */
@Command(
        name = "server",
        mixinStandardHelpOptions = true,
        description = "Serve storage over NBD until a signal ends it.",
        footer = {
            "",
            "Without a file, an export is all it takes:",
            "  farsight server --export disk=memory:512MiB --listen unix:/tmp/disk.sock"
        })
final class ServerCommand implements Callable<Integer> {
    @Parameters(arity = "0..1", paramLabel = "CONFIG", description = "The server's TOML file.")
    private Path file;

    @Option(
            names = "--export",
            paramLabel = "NAME=SPEC",
            description = "One more export, such as disk=file:/srv/disk.img or ram=memory:1GiB. May be repeated.")
    private List<String> exports = new ArrayList<>();

    @Option(
            names = "--listen",
            paramLabel = "ADDRESS",
            description = "HOST:PORT, [IPV6]:PORT or unix:PATH, in place of the file's. May be repeated.")
    private List<String> addresses = new ArrayList<>();

    @Override
    public Integer call() throws Exception {
        Map<String, BackendProvider> providers = Providers.installed();
        Server server = Server.start(configuration(providers), providers);
        Stop.onSignal(server::close);
        for (NbdUri uri : server.uris()) {
            System.out.println("farsight: serving " + uri);
        }
        System.out.flush();
        server.awaitStop();
        return 0;
    }

    private ServerConfig configuration(Map<String, BackendProvider> providers) throws Exception {
        if (file == null && exports.isEmpty()) {
            throw new ConfigException("nothing to serve: give a configuration file, or --export NAME=SPEC");
        }
        ServerConfig base = file == null
                ? new ServerConfig(
                        List.of(new ListenAddress.Tcp("localhost", ServerConfig.DEFAULT_PORT)),
                        Limits.DEFAULT,
                        0,
                        Map.<String, Settings>of(),
                        Map.of())
                : ServerConfig.load(file, providers);
        Map<String, ExportConfig> all = new LinkedHashMap<>(base.exports());
        for (String text : exports) {
            ExportConfig export = ExportSpec.parse(text, providers);
            all.put(export.name(), export);
        }
        List<ListenAddress> listen = addresses.isEmpty()
                ? base.listen()
                : addresses.stream().map(ExportSpec::parseAddress).toList();
        return new ServerConfig(listen, base.limits(), base.loops(), base.backends(), all);
    }
}

package farsight.server;

import farsight.backend.BackendProvider;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.config.ExportConfig;
import farsight.config.ExportSpec;
import farsight.config.InstalledBackends;
import farsight.config.ListenAddress;
import farsight.config.ServerConfig;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An NBD server within another program. What it can be told is what the file of {@code farsight server} can say, and what
 * that command's options can; besides, the program's own {@link Device}s can be its storage.
 *
 * <pre>{@code
 * try (NbdServer server = NbdServer.builder()
 *         .listen("unix:/run/disks.sock")
 *         .export("ram", new RamDisk(new byte[1 << 20]))
 *         .export("image", "file:/srv/disk.img")
 *         .start()) {
 *     server.awaitStop();
 * }
 * }</pre>
 *
 * <p>It has threads of its own. Methods may be called from any thread but those in which it calls a device.
 *
 * <p>Source: proto.md of the NBD project.
 */
public final class NbdServer implements AutoCloseable {
    private final Server server;

    private NbdServer(Server server) {
        this.server = server;
    }

    /** A server that says nothing else listens on the loopback addresses, port 10809, and serves nothing. */
    public static Builder builder() {
        return new Builder();
    }

    /** What a server is to be. One thread. */
    public static final class Builder {
        private Path file;
        private String text = "";
        private final List<ListenAddress> addresses = new ArrayList<>();
        private final Map<String, String> specs = new LinkedHashMap<>();
        private final Map<String, Device> devices = new LinkedHashMap<>();

        private Builder() {}

        /** All that a file of {@code farsight server} says, and variables of the environment that override it. */
        public Builder configuration(Path serverToml) {
            file = serverToml;
            return this;
        }

        /**
         * What such a file would say, in TOML; the environment is not asked. Without {@code plugin_path}: backends come
         * from the program's own module path or class path.
         */
        public Builder configuration(String serverToml) {
            file = null;
            text = serverToml;
            return this;
        }

        /**
         * Where to listen, in place of what the configuration says; may be called several times.
         *
         * @param address {@code HOST:PORT}, {@code [IPV6]:PORT} or {@code unix:PATH}; port 0 lets the system choose
         * @throws IllegalArgumentException with a message for people
         */
        public Builder listen(String address) {
            addresses.add(ListenAddress.parse(address));
            return this;
        }

        /**
         * An export of storage that is installed.
         *
         * @param name what clients ask for
         * @param storage {@code BACKEND:WHAT}, such as {@code file:/srv/disk.img} or {@code memory:64MiB}
         */
        public Builder export(String name, String storage) {
            devices.remove(name);
            specs.put(name, storage);
            return this;
        }

        /**
         * An export of a device of the program's own. The device belongs to the server from {@link #start} on, also when
         * that fails: it is closed with the server and not before.
         *
         * <p>Rules for it are those of a table of the configuration with {@code backend = "device"} and
         * {@code device = "NAME"}, which then says how the export is called.
         *
         * @param name what clients ask for, unless the configuration has an export of this device
         */
        public Builder export(String name, Device device) {
            specs.remove(name);
            devices.put(name, device);
            return this;
        }

        /**
         * Starts it, as a whole or not at all.
         *
         * @throws IOException for people, with every mistake of the configuration, or the address that cannot be had
         * @throws IllegalArgumentException with a message for people: storage that is none
         */
        public NbdServer start() throws IOException {
            EmbeddedDevices embedded = new EmbeddedDevices(devices);
            try {
                Map<String, BackendProvider> providers =
                        file == null ? InstalledBackends.all() : InstalledBackends.all(ServerConfig.pluginPath(file));
                providers.put(EmbeddedDevices.NAME, embedded);
                ServerConfig config = configuration(providers);
                return new NbdServer(
                        Server.start(addresses.isEmpty() ? config : config.withListen(addresses), providers));
            } catch (IOException | RuntimeException e) {
                embedded.close();
                throw e;
            }
        }

        private ServerConfig configuration(Map<String, BackendProvider> providers) throws IOException {
            ServerConfig config = file == null
                    ? ServerConfig.parse("configuration", text, providers)
                    : ServerConfig.load(file, providers);
            if (file == null && !config.pluginPath().isEmpty()) {
                throw new IOException(
                        "configuration: plugin_path is for files; put the backend's jar on the module path");
            }
            Map<String, ExportConfig> exports = new LinkedHashMap<>(config.exports());
            for (Map.Entry<String, String> spec : specs.entrySet()) {
                add(exports, ExportSpec.parseNamed(spec.getKey() + "=" + spec.getValue(), providers));
            }
            for (String name : devices.keySet()) {
                Settings settings = new Settings(Map.of(EmbeddedDevices.KEY, name));
                if (config.exports().values().stream()
                        .noneMatch(export -> export.backend().equals(EmbeddedDevices.NAME)
                                && export.settings().equals(settings))) {
                    add(exports, new ExportConfig(name, EmbeddedDevices.NAME, settings, false, ""));
                }
            }
            return config.withExports(exports);
        }

        private static void add(Map<String, ExportConfig> exports, ExportConfig export) {
            if (exports.put(export.name(), export) != null) {
                throw new IllegalArgumentException("export '" + export.name() + "' is given twice");
            }
        }
    }

    /** What clients connect to, with the ports that the system chose: one for each address and export. */
    public List<String> uris() {
        return server.uris().stream().map(Object::toString).toList();
    }

    /** How many clients are connected. */
    public int connections() {
        return server.connections();
    }

    /** Where figures are told over HTTP, if the configuration says {@code metrics}. */
    public Optional<InetSocketAddress> metrics() {
        return server.metrics();
    }

    /** Waits until somebody has closed it. */
    public void awaitStop() throws InterruptedException {
        server.awaitStop();
    }

    /**
     * Stops: what is in flight is finished and answered, exports are flushed, connections ended and devices closed, for
     * {@code shutdown_timeout} (10 s) at most. The second call does nothing.
     */
    @Override
    public void close() {
        server.close();
    }
}

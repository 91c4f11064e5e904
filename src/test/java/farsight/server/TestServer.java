package farsight.server;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.backend.file.FileProvider;
import farsight.backend.memory.MemoryProvider;
import farsight.config.ExportAccess;
import farsight.config.ExportConfig;
import farsight.config.ExportRates;
import farsight.config.Io;
import farsight.config.Limits;
import farsight.config.ListenAddress;
import farsight.config.Loops;
import farsight.config.ServerConfig;
import farsight.tools.WireClient;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** A server in this process, on a unix socket, with exports of the built-in kinds and of devices that a test made. */
final class TestServer implements AutoCloseable {
    private static final long PATIENCE_NANOS = 20_000_000_000L;

    private final Server server;
    private final Path socket;

    private TestServer(Server server, Path socket) {
        this.server = server;
        this.socket = socket;
    }

    static final class Builder {
        private final Path directory;
        private final Map<String, ExportConfig> exports = new HashMap<>();
        private final Map<String, Device> devices = new HashMap<>();
        private final Map<String, IOException> failures = new HashMap<>();
        private Limits limits = Limits.DEFAULT;
        private int loops = 1;
        private Io io = Io.valueOf(System.getProperty("farsight.io", "auto").toUpperCase(Locale.ROOT));

        Builder(Path directory) {
            this.directory = directory;
        }

        Builder memory(String name, long size) {
            exports.put(name, new ExportConfig(name, "memory", new Settings(Map.of("size", size)), false, ""));
            return this;
        }

        /** Memory of which only so much may be asked. */
        Builder memory(String name, long size, ExportRates rates) {
            Settings settings = new Settings(Map.of("size", size));
            exports.put(name, new ExportConfig(name, "memory", settings, false, "", false, ExportAccess.OPEN, rates));
            return this;
        }

        Builder file(String name, Path path, long size) {
            Settings settings = new Settings(Map.of("path", path.toString(), "create", true, "size", size));
            exports.put(name, new ExportConfig(name, "file", settings, false, ""));
            return this;
        }

        Builder device(String name, Device device) {
            devices.put(name, device);
            exports.put(name, new ExportConfig(name, "test", new Settings(Map.of("name", name)), false, ""));
            return this;
        }

        /** An export whose clients have to keep to the storage's blocks. */
        Builder exact(String name, Device device) {
            devices.put(name, device);
            Settings settings = new Settings(Map.of("name", name));
            exports.put(name, new ExportConfig(name, "test", settings, false, "", true));
            return this;
        }

        /** An export whose storage cannot be opened. */
        Builder failing(String name, IOException why) {
            failures.put(name, why);
            Settings settings = new Settings(Map.of("name", name));
            exports.put(name, new ExportConfig(name, "test", settings, false, "fails to open"));
            return this;
        }

        Builder limits(Limits limits) {
            this.limits = limits;
            return this;
        }

        /** What the loops stand on; by default whatever the system property farsight.io says. */
        Builder io(Io io) {
            this.io = io;
            return this;
        }

        private Loops loops() {
            return new Loops(loops, io, Duration.ZERO, false, false);
        }

        Builder loops(int loops) {
            this.loops = loops;
            return this;
        }

        TestServer start() throws IOException {
            Path socket = directory.resolve("server.sock");
            Map<String, BackendProvider> providers = Map.of(
                    "memory",
                    new MemoryProvider(),
                    "file",
                    new FileProvider(),
                    "test",
                    new DeviceProvider(devices, failures));
            ServerConfig config = new ServerConfig(
                    java.util.List.of(new ListenAddress.Unix(socket.toString())), limits, loops(), Map.of(), exports);
            return new TestServer(Server.start(config, providers), socket);
        }
    }

    private record DeviceProvider(Map<String, Device> devices, Map<String, IOException> failures)
            implements BackendProvider {
        @Override
        public String name() {
            return "test";
        }

        @Override
        public Backend configure(Settings server) {
            return export -> {
                String name = export.string("name").orElseThrow();
                if (failures.containsKey(name)) {
                    throw failures.get(name);
                }
                return devices.get(name);
            };
        }
    }

    Server server() {
        return server;
    }

    String uri(String export) {
        return "nbd+unix:///" + export + "?socket=" + socket;
    }

    WireClient wire() throws IOException {
        return WireClient.unix(socket);
    }

    SocketChannel connect() throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        channel.connect(UnixDomainSocketAddress.of(socket));
        return channel;
    }

    /**
     * A client before its first option, on the loop that accepts although nobody is on the other one: who was there
     * when it came has left. The server has two loops and no clients.
     */
    RawClient stray() throws IOException {
        RawClient first = RawClient.greet(connect());
        RawClient stray = RawClient.greet(connect());
        first.close();
        awaitTrue("the first one does not leave", () -> server.connections() == 1);
        return stray;
    }

    /** Waits until nothing of any client is left: no connection, no request, no buffer but those to receive into. */
    void awaitNothingInUse() {
        awaitTrue("connections are left", () -> server.connections() == 0);
        awaitTrue("requests are left", () -> server.requestsInUse() == 0);
        awaitTrue("buffers are left", () -> server.buffersInUse() <= server.loops());
    }

    static void awaitTrue(String otherwise, BooleanSupplier condition) {
        long deadline = System.nanoTime() + PATIENCE_NANOS;
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(otherwise);
            }
            Thread.onSpinWait();
        }
    }

    /** How many descriptors this process has open. */
    static long descriptors() {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.count();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** By now its clients are closed: nothing may be left of them. */
    @Override
    public void close() {
        awaitNothingInUse();
        server.close();
    }
}

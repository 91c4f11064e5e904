package farsight.benchmarks;

import farsight.backend.BackendProvider;
import farsight.backend.file.FileProvider;
import farsight.backend.memory.MemoryProvider;
import farsight.config.ServerConfig;
import farsight.server.Server;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** A server in this process with one export, {@code disk}, on a unix socket. */
final class Served implements AutoCloseable {
    private static final Map<String, BackendProvider> PROVIDERS =
            Map.of("memory", new MemoryProvider(), "file", new FileProvider());

    private final Path directory;
    private final Server server;

    private Served(Path directory, Server server) {
        this.directory = directory;
        this.server = server;
    }

    static Served memory(String io, long size) throws IOException {
        return start(io, "backend = \"memory\"\nsize = " + size);
    }

    static Served path(String io, String path) throws IOException {
        return start(io, "backend = \"file\"\npath = \"" + path + "\"");
    }

    private static Served start(String io, String export) throws IOException {
        Path directory = Files.createTempDirectory("farsight-jmh");
        Path config = Files.writeString(
                directory.resolve("server.toml"),
                "[server]\nunix = \"" + directory.resolve("socket") + "\"\nloops = 1\nio = \"" + io
                        + "\"\n[exports.disk]\n" + export + "\n");
        return new Served(directory, Server.start(ServerConfig.load(config, PROVIDERS), PROVIDERS));
    }

    Requester connect(boolean write, int block, int depth) throws IOException {
        return new Requester(directory.resolve("socket"), "disk", write, block, depth);
    }

    @Override
    public void close() throws Exception {
        server.close();
        Files.deleteIfExists(directory.resolve("server.toml"));
        Files.deleteIfExists(directory.resolve("socket"));
        Files.deleteIfExists(directory);
    }
}

package farsight.interop;

import farsight.sys.LoopDevice;
import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;

/**
 * The packaged server with one export of each kind (memory, file, loop), on TCP over IPv4 and IPv6 and on a unix socket.
 */
final class ServedExports implements AutoCloseable {
    static final long SIZE = 64L << 20;

    private static final Pattern URI_V4 = Pattern.compile("serving nbd://127\\.0\\.0\\.1:(\\d+)/");
    private static final Pattern READY = Pattern.compile("serving nbd\\+unix://");

    private final Path directory;
    private final LoopDevice loop;
    private final RunningCommand server;
    private final int port;

    ServedExports(Path directory) throws IOException {
        Requires.root();
        Requires.that(Files.exists(Path.of("/dev/loop-control")), "loop devices", "modprobe loop");
        this.directory = directory;
        Path backing = directory.resolve("loop.img");
        try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
            file.setLength(SIZE);
        }
        loop = LoopDevice.attach(backing.toString());
        Path config = directory.resolve("server.toml");
        Files.writeString(config, configuration());
        server = Commands.command(Project.launcher().toString(), "server", config.toString())
                .start();
        port = Integer.parseInt(
                server.awaitStdout(URI_V4, Duration.ofSeconds(30)).group(1));
        server.awaitStdout(READY, Duration.ofSeconds(30));
    }

    private String configuration() {
        return """
            [server]
            address = ["127.0.0.1", "::1"]
            port = 0
            unix = "%1$s/farsight.sock"
            max_errors = 1000

            [memory]
            limit = "1GiB"

            [file]
            root = "%1$s/root"

            [exports.memory]
            backend = "memory"
            size = %2$d

            [exports.file]
            backend = "file"
            path = "%1$s/file.img"
            create = true
            size = %2$d

            [exports.loop]
            backend = "file"
            path = "%3$s"

            [exports.frozen]
            backend = "memory"
            size = "1MiB"
            read_only = true
            """.formatted(directory, SIZE, loop.path());
    }

    Path directory() {
        return directory;
    }

    /** The loop device behind the export of that name, as the kernel calls it. */
    String loopName() {
        return Path.of(loop.path()).getFileName().toString();
    }

    String socket() {
        return directory + "/farsight.sock";
    }

    int port() {
        return port;
    }

    /** @param transport tcp4, tcp6 or unix */
    String uri(String transport, String export) {
        return switch (transport) {
            case "tcp4" -> "nbd://127.0.0.1:" + port + "/" + export;
            case "tcp6" -> "nbd://[::1]:" + port + "/" + export;
            default -> "nbd+unix:///" + export + "?socket=" + socket();
        };
    }

    @Override
    public void close() throws IOException {
        server.terminate();
        Commands.Result result = server.await(Duration.ofSeconds(30));
        loop.close();
        result.expectSuccess();
    }
}

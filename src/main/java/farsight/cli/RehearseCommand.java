package farsight.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import picocli.CommandLine.Command;

/**
 * {@code farsight rehearse}: what most starts do, in one process, for the packaging to see which classes that takes. A
 * server serves the other commands from files of its own in a directory for temporary ones.
 */
@Command(
        name = "rehearse",
        hidden = true,
        description = "Run the commands once in this process, for the start-up archive that the packaging makes.")
final class RehearseCommand implements Callable<Integer> {
    private static final int LIMIT_SECONDS = 60;

    @Override
    public Integer call() throws Exception {
        Path work = Files.createTempDirectory("farsight-rehearsal");
        try {
            Path socket = work.resolve("socket");
            Path config = work.resolve("server.toml");
            Files.writeString(config, """
                [server]
                unix = "%s"

                [memory]
                limit = "16MiB"

                [exports.disk]
                backend = "file"
                path = "%s"
                create = true
                size = "1MiB"
                """.formatted(socket, work.resolve("served.img")));
            CompletableFuture<Integer> server = new CompletableFuture<>();
            Thread.ofPlatform()
                    .name("rehearsal")
                    .daemon(true)
                    .start(() -> server.complete(Main.run("server", config.toString(), "--export", "ram=memory:1MiB")));
            String uri = "nbd+unix:///disk?socket=" + socket;
            // Whether the first one comes too early is chance; here it always happens, and its classes are always
            // there.
            Main.run("info", "--list", "nbd+unix:///?socket=" + work.resolve("nobody"));
            awaitSocket(socket, server);
            Path image = work.resolve("copied.img");
            Files.write(image, new byte[1 << 20]);
            int status = Main.run("--version")
                    | Main.run("info", uri)
                    | Main.run("info", "--json", uri)
                    | Main.run("info", "--list", uri)
                    | Main.run("copy", image.toString(), uri)
                    | Main.run("copy", uri, image.toString())
                    | Main.run("copy", uri, "nbd+unix:///ram?socket=" + socket);
            return status;
        } finally {
            try (Stream<Path> all = Files.walk(work)) {
                all.sorted(Comparator.reverseOrder())
                        .forEach(path -> path.toFile().delete());
            }
        }
    }

    private static void awaitSocket(Path socket, CompletableFuture<Integer> server) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (!Files.exists(socket) || Main.run("info", "--list", "nbd+unix:///?socket=" + socket) != 0) {
            if (server.isDone() || System.nanoTime() > deadline) {
                throw new IOException("the server of the rehearsal did not start");
            }
            Thread.sleep(20);
        }
    }
}

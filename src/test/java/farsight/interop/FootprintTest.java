package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.RunningCommand;
import farsight.tools.WireClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the packaged server takes of memory for its connections. Figures of it: benchmarks/idle.sh. */
class FootprintTest {
    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final int BLOCK = 4096;
    /** What the first connections bring along, such as compiled code, is no price of a connection. */
    private static final int FEW = 32;

    private static final int MORE = 256;
    private static final long KIB_EACH = 64;

    @TempDir
    Path directory;

    private Path socket() {
        return directory.resolve("s.sock");
    }

    private RunningCommand serve() throws IOException {
        Path config = Files.writeString(directory.resolve("server.toml"), """
            [server]
            unix = "%s"
            max_connections = %d
            [exports.disk]
            backend = "memory"
            size = "64MiB"
            """.formatted(socket(), FEW + MORE));
        RunningCommand server = Commands.command(Project.launcher().toString(), "server", config.toString())
                .start();
        server.awaitStdout(Pattern.compile("serving nbd"), LIMIT);
        return server;
    }

    @Test
    void anIdleConnectionCostsLessThan64KiB() throws IOException {
        List<WireClient> clients = new ArrayList<>();
        try (RunningCommand server = serve()) {
            connect(clients, FEW);
            long before = resident(server);
            connect(clients, MORE);
            long deadline = System.nanoTime() + LIMIT.toNanos();
            long each;
            do { // memory that a compiler has for a moment is none of theirs, either
                each = (resident(server) - before) / MORE;
            } while (each >= KIB_EACH && System.nanoTime() < deadline);
            assertThat(each).as("KiB for each").isLessThan(KIB_EACH);
            for (WireClient client : clients) { // all of them are there
                read(client);
            }
        } finally {
            for (WireClient client : clients) {
                client.close();
            }
        }
    }

    /** Clients that have read once and are silent from then on. */
    private void connect(List<WireClient> clients, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            WireClient client = WireClient.unix(socket());
            clients.add(client);
            read(client.go("disk"));
        }
    }

    private static void read(WireClient client) throws IOException {
        client.send(0, WireClient.READ, 1, 0, BLOCK);
        assertThat(client.chunk().error()).isZero();
        client.receive(BLOCK);
    }

    /** KiB of memory that are really there. */
    private static long resident(RunningCommand server) throws IOException {
        return Files.readAllLines(Path.of("/proc", Long.toString(server.pid()), "status")).stream()
                .filter(line -> line.startsWith("VmRSS:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }
}

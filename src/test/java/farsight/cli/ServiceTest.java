package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The packaged server under a service manager: a datagram socket that prints what it is told. */
class ServiceTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);

    /** A line for each datagram. */
    private static final String MANAGER = """
        import socket, sys
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(sys.argv[1].replace('@', chr(0), 1) if sys.argv[1][0] == '@' else sys.argv[1])
        print('listening', flush=True)
        while True: print(repr(s.recv(4096).decode()), flush=True)
        """;

    @TempDir
    Path folder;

    private RunningCommand manager(String socket) {
        RunningCommand manager = Commands.command(
                        Requires.tool("python3", "python3").toString(), "-c", MANAGER, socket)
                .start();
        manager.awaitStdout(Pattern.compile("listening\\n"), LIMIT);
        return manager;
    }

    private Commands server(String notifySocket) {
        return Commands.command(
                        Project.launcher().toString(),
                        "server",
                        "--export",
                        "disk=memory:1MiB",
                        "--listen",
                        "unix:" + folder.resolve("nbd"))
                .environment("NOTIFY_SOCKET", notifySocket);
    }

    private String uri() {
        return "nbd+unix:///disk?socket=" + folder.resolve("nbd");
    }

    @Test
    void readyMeansListeningAndTheEndIsAnnounced() {
        String socket = folder.resolve("notify").toString();
        try (RunningCommand manager = manager(socket);
                RunningCommand server = server(socket).start()) {
            manager.awaitStdout(
                    Pattern.compile("^'READY=1\\\\nSTATUS=serving " + Pattern.quote(uri()) + "'\\n", Pattern.MULTILINE),
                    LIMIT);
            Commands.command(Project.launcher().toString(), "info", uri()).run().expectSuccess();
            server.terminate();
            manager.awaitStdout(Pattern.compile("^'STOPPING=1'\\n", Pattern.MULTILINE), LIMIT);
            server.await(LIMIT).expectSuccess();
        }
    }

    @Test
    void aReloadIsAnnouncedWithItsTimeAndItsEnd() throws IOException {
        String socket = folder.resolve("notify").toString();
        Path file = folder.resolve("server.toml");
        Files.writeString(file, "[exports.disk]\nbackend = \"memory\"\nsize = \"1MiB\"\n");
        try (RunningCommand manager = manager(socket);
                RunningCommand server = Commands.command(
                                Project.launcher().toString(),
                                "server",
                                file.toString(),
                                "--listen",
                                "unix:" + folder.resolve("nbd"))
                        .environment("NOTIFY_SOCKET", socket)
                        .start()) {
            manager.awaitStdout(Pattern.compile("READY=1"), LIMIT);
            Commands.command("kill", "-HUP", Long.toString(server.pid())).run().expectSuccess();
            manager.awaitStdout(
                    Pattern.compile("'RELOADING=1\\\\nMONOTONIC_USEC=\\d+'\n'READY=1\\\\nSTATUS=serving "
                            + Pattern.quote(uri()) + "'\n"),
                    LIMIT);
            Files.writeString(file, "no = 1\n");
            Commands.command("kill", "-HUP", Long.toString(server.pid())).run().expectSuccess();
            manager.awaitStdout(Pattern.compile("READY=1\\\\nSTATUS=serving .*; the last reload failed'\n"), LIMIT);
        }
    }

    @Test
    void theWatchdogIsToldThroughAnAbstractSocket() {
        String socket = "@farsight-test-" + ProcessHandle.current().pid();
        try (RunningCommand manager = manager(socket);
                RunningCommand server =
                        server(socket).environment("WATCHDOG_USEC", "200000").start()) {
            manager.awaitStdout(Pattern.compile("READY=1(.*\\n)*('WATCHDOG=1'\\n){3}"), LIMIT);
            server.terminate();
            server.await(LIMIT).expectSuccess();
        }
    }

    @Test
    void aServiceManagerThatDoesNotListenIsAWarning() {
        try (RunningCommand server = server(folder.resolve("nobody").toString()).start()) {
            server.awaitStderr(
                    Pattern.compile(
                            "farsight: warning: notify the service manager: .*ENOENT.*; check NOTIFY_SOCKET\\n"),
                    LIMIT);
            Commands.command(Project.launcher().toString(), "info", uri()).run().expectSuccess();
            server.terminate();
            assertThat(server.await(LIMIT).expectSuccess().stderr()).hasLineCount(1);
        }
    }
}

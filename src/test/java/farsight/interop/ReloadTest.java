package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import farsight.tools.TestAuthority;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** SIGHUP to the packaged server while real clients are at work. */
class ReloadTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private static final String KEPT = """
        [exports.kept]
        backend = "memory"
        size = "16MiB"
        """;

    private static final String ONE = """
        [exports.one]
        backend = "memory"
        size = "1MiB"
        """;

    private static final String TWO = """
        [exports.two]
        backend = "memory"
        size = "2MiB"
        """;

    @TempDir
    Path folder;

    private Path file;
    private String port;

    @BeforeEach
    void place() {
        file = folder.resolve("server.toml");
    }

    private void write(String exports) throws IOException {
        write("", exports);
    }

    private void write(String settings, String exports) throws IOException {
        Files.writeString(file, "[server]\nunix = \"%s\"\n%s\n%s".formatted(folder.resolve("nbd"), settings, exports));
    }

    private RunningCommand serve() {
        RunningCommand server = Commands.command(Project.launcher().toString(), "server", file.toString())
                .start();
        server.awaitStdout(Pattern.compile("serving nbd"), LIMIT);
        return server;
    }

    private String uri(String export) {
        return "nbd+unix:///" + export + "?socket=" + folder.resolve("nbd");
    }

    private static void hangUp(RunningCommand server) {
        Commands.command("kill", "-HUP", Long.toString(server.pid())).run().expectSuccess();
    }

    private String size(String export) {
        return Commands.command("nbdinfo", "--size", uri(export))
                .run()
                .expectSuccess()
                .stdout()
                .strip();
    }

    private void expectUnknown(String export) {
        Commands.Result result =
                Commands.command("nbdinfo", "--size", uri(export)).run();
        assertThat(result.exit()).isEqualTo(1);
        assertThat(result.stderr()).contains("server has no export named");
    }

    /** A client that writes and reads back what it wrote until it finds a file, and then says how often. */
    private static final String CLIENT = """
        import nbd, os, sys
        h = nbd.NBD()
        h.set_uri_allow_local_file(True)
        h.connect_uri(sys.argv[1])
        n = 0
        while n < 100 or not os.path.exists(sys.argv[2]):
            data = (b'%08d' % n) * 512
            h.pwrite(data, n % 200 * 4096)
            assert h.pread(4096, n % 200 * 4096) == data
            n += 1
            if n == 100:
                print('busy', flush=True)
        h.flush()
        print('verified', n)
        """;

    private RunningCommand client(String export, Path end) {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        return clientOf(uri(export), end);
    }

    private static RunningCommand clientOf(String uri, Path end) {
        RunningCommand client = Commands.command("/usr/bin/python3", "-c", CLIENT, uri, end.toString())
                .start();
        client.awaitStdout(Pattern.compile("busy"), LIMIT);
        return client;
    }

    @Test
    void clientsAtWorkKeepTheirExportsAndOthersSeeTheNewOnes() throws IOException {
        Path end = folder.resolve("end");
        write(KEPT + ONE);
        try (RunningCommand server = serve();
                RunningCommand onKept = client("kept", end);
                RunningCommand onOne = client("one", end)) {
            for (int round = 1; round <= 5; round++) {
                write(KEPT + TWO);
                hangUp(server);
                server.awaitStderr(
                        Pattern.compile("(reloaded: new: two; gone: one\\n(.*\\n)*?.*){" + round + "}"), LIMIT);
                assertThat(size("two")).isEqualTo("2097152");
                expectUnknown("one");
                write(KEPT + ONE);
                hangUp(server);
                server.awaitStderr(
                        Pattern.compile("(reloaded: new: one; gone: two\\n(.*\\n)*?.*){" + round + "}"), LIMIT);
                expectUnknown("two");
            }
            // It is one of its own: that of the connected client vanished in between.
            assertThat(Commands.command("nbdinfo", "--map=base:allocation", uri("one"))
                            .run()
                            .expectSuccess()
                            .stdout())
                    .doesNotContain("data");
            assertThat(Commands.command("nbdinfo", "--map=base:allocation", uri("kept"))
                            .run()
                            .expectSuccess()
                            .stdout())
                    .contains("data");
            Files.createFile(end);
            onKept.await(LIMIT).expectSuccess();
            onOne.await(LIMIT).expectSuccess();
            server.terminate();
            assertThat(server.await(LIMIT).expectSuccess().stderr())
                    .doesNotContain("disconnected", "did not close", "severe");
        }
    }

    @Test
    void aCopyUnderReloadsIsWhole() throws IOException {
        Requires.tool("nbdcopy", "libnbd-bin");
        Path image = folder.resolve("image");
        byte[] bytes = new byte[64 << 20];
        new java.util.Random(7).nextBytes(bytes);
        Files.write(image, bytes);
        String disk = "[exports.disk]\nbackend = \"file\"\npath = \"%s\"\ncreate = true\nsize = \"64MiB\"\n"
                .formatted(folder.resolve("disk"));
        write(disk);
        try (RunningCommand server = serve();
                RunningCommand copy = Commands.command(
                                "nbdcopy", "--requests=4", "--request-size=65536", image.toString(), uri("disk"))
                        .start()) {
            server.awaitStderr(Pattern.compile("opened export 'disk'"), LIMIT);
            for (int round = 1; round <= 4; round++) {
                write("max_requests = " + (10 + round), disk + (round % 2 == 0 ? ONE : TWO));
                hangUp(server);
                server.awaitStderr(
                        Pattern.compile("(reloaded: new: .*; other limits\\n(.*\\n)*?.*){" + round + "}"), LIMIT);
            }
            copy.await(LIMIT).expectSuccess();
            assertThat(Files.mismatch(image, folder.resolve("disk"))).isEqualTo(-1);
        }
    }

    @Test
    void aBadFileChangesNothingAndSaysWhy() throws IOException {
        write(ONE);
        try (RunningCommand server = serve()) {
            write("max_conections = 3", TWO + "\n[exports.three]\nbackend = \"memorry\"\n");
            hangUp(server);
            server.awaitStderr(
                    Pattern.compile(
                            "not reloaded, everything stays as it was: (.*\\n)*.*max_conections(.*\\n)*.*memorry"),
                    LIMIT);
            assertThat(size("one")).isEqualTo("1048576");
            expectUnknown("two");
            Files.delete(file);
            hangUp(server);
            server.awaitStderr(Pattern.compile("(not reloaded(.*\\n)+?.*){2}"), LIMIT);
            assertThat(size("one")).isEqualTo("1048576");
            write(TWO);
            hangUp(server);
            server.awaitStderr(Pattern.compile("reloaded: new: two; gone: one\\n"), LIMIT);
            assertThat(size("two")).isEqualTo("2097152");
        }
    }

    @Test
    void newLimitsAreForConnectionsToCome() throws IOException {
        Path end = folder.resolve("end");
        write(KEPT);
        try (RunningCommand server = serve();
                RunningCommand client = client("kept", end)) {
            write("max_connections = 1", KEPT);
            hangUp(server);
            server.awaitStderr(Pattern.compile("reloaded: other limits\\n"), LIMIT);
            assertThat(Commands.command("nbdinfo", "--size", uri("kept")).run().exit())
                    .isEqualTo(1);
            server.awaitStderr(Pattern.compile("refused: 1 connections are open already"), LIMIT);
            Files.createFile(end);
            client.await(LIMIT).expectSuccess();
        }
    }

    /** Certificates of another authority by SIGHUP, and those of the first one back without: who is connected stays. */
    @Test
    void certificatesChangeUnderClientsAtWork() throws IOException {
        Instant tomorrow = Instant.now().plus(Duration.ofDays(1));
        TestAuthority first = new TestAuthority("the first authority");
        TestAuthority second = new TestAuthority("the second authority");
        Path own = first.issue(folder.resolve("own"), "server", "server", tomorrow, "localhost");
        Path trustsFirst = first.trustedIn(folder.resolve("first"));
        Path trustsSecond = second.trustedIn(folder.resolve("second"));
        String tls = "address = \"127.0.0.1\"\nport = 0\ntls = \"require\"\ntls_certificates = \"" + own + "\"";
        Path end = folder.resolve("end");
        write(tls, KEPT);
        try (RunningCommand server = serve()) {
            port = server.awaitStdout(Pattern.compile("127\\.0\\.0\\.1:(\\d+)"), LIMIT)
                    .group(1);
            RunningCommand client = clientOf(secure(trustsFirst), end);
            assertThat(opens(secure(trustsSecond))).isFalse();
            second.issue(own, "server", "server", tomorrow, "localhost");
            write(tls, KEPT + ONE);
            hangUp(server);
            server.awaitStderr(Pattern.compile("reloaded: new: one\\n"), LIMIT);
            assertThat(opens(secure(trustsSecond))).isTrue();
            assertThat(opens(secure(trustsFirst))).isFalse();

            Files.writeString(own.resolve("server-cert.pem"), "no certificate");
            server.awaitStderr(
                    Pattern.compile("certificates in use stay, the new ones cannot be used: .*server-cert.pem"), LIMIT);
            assertThat(opens(secure(trustsSecond))).isTrue();
            hangUp(server);
            server.awaitStderr(Pattern.compile("not reloaded, everything stays as it was: .*server-cert.pem"), LIMIT);
            assertThat(opens(secure(trustsSecond))).isTrue();

            first.issue(own, "server", "server", tomorrow, "localhost");
            server.awaitStderr(Pattern.compile("the certificates in .* were read anew"), LIMIT);
            assertThat(opens(secure(trustsFirst))).isTrue();
            assertThat(opens(secure(trustsSecond))).isFalse();
            Files.createFile(end);
            client.await(LIMIT).expectSuccess();
        }
    }

    private String secure(Path certificates) {
        return "nbds://localhost:" + port + "/kept?tls-certificates=" + certificates;
    }

    private static boolean opens(String uri) {
        return Commands.command("nbdinfo", "--size", uri).run().exit() == 0;
    }

    /** What is in a memory export stays although others may open it, or ask more of it. */
    @Test
    void newRulesOfAnExportLeaveItsContent() throws IOException {
        write(KEPT);
        try (RunningCommand server = serve()) {
            Path end = Files.createFile(folder.resolve("end"));
            client("kept", end).await(LIMIT).expectSuccess();
            write(KEPT + "users = [\"4242\"]\nrate_iops = 10000\n");
            hangUp(server);
            server.awaitStderr(Pattern.compile("reloaded: changed: kept\\n"), LIMIT);
            assertThat(opens(uri("kept"))).isFalse();
            write(KEPT);
            hangUp(server);
            server.awaitStderr(Pattern.compile("(reloaded: changed: kept\\n(.*\\n)*?.*){2}"), LIMIT);
            assertThat(Commands.command("nbdinfo", "--map=base:allocation", uri("kept"))
                            .run()
                            .expectSuccess()
                            .stdout())
                    .contains("data");
        }
    }

    @Test
    void whatOnlyARestartCanChangeIsSaid() throws IOException {
        write(ONE);
        try (RunningCommand server = serve()) {
            write("loops = 7", ONE);
            hangUp(server);
            server.awaitStderr(
                    Pattern.compile("warning: addresses, loops, pool, metrics and plugin_path are read at the"), LIMIT);
            assertThat(size("one")).isEqualTo("1048576");
        }
    }
}

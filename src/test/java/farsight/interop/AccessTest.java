package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.BackendProvider;
import farsight.backend.memory.MemoryProvider;
import farsight.config.ServerConfig;
import farsight.server.Server;
import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import farsight.tools.TestAuthority;
import farsight.tools.WireClient;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real clients with several identities against exports that are not for everybody. */
class AccessTest {
    private static final Instant TOMORROW = Instant.now().plus(Duration.ofDays(1));
    private static final TestAuthority AUTHORITY = new TestAuthority("the authority");
    private static final Map<String, BackendProvider> PROVIDERS = Map.of("memory", new MemoryProvider());

    private static final int NOBODY = 65534;
    private static final Duration LIMIT = Duration.ofSeconds(30);

    @TempDir
    private Path directory;

    private Path socket;

    @BeforeEach
    void tools() {
        Requires.tool("nbdinfo", "libnbd-bin");
        socket = directory.resolve("nbd");
    }

    private Server serve(String server, String exports) throws IOException {
        Path file = directory.resolve("server.toml");
        Files.writeString(file, "[server]\n" + server + "\n" + exports);
        return Server.start(ServerConfig.load(file, PROVIDERS), PROVIDERS);
    }

    private static String export(String name, String rules) {
        return "[exports.%s]\nbackend = \"memory\"\nsize = \"1MiB\"\n%s\n".formatted(name, rules);
    }

    // ---- unix sockets --------------------------------------------------------------------------------------------

    private Commands.Result as(int user, String groups, String export) {
        List<String> words = new ArrayList<>(List.of("setpriv", "--reuid=" + user, "--regid=" + user));
        words.add(groups.isEmpty() ? "--clear-groups" : "--groups=" + groups);
        words.addAll(List.of("nbdinfo", "--can", "write", "nbd+unix:///" + export + "?socket=" + socket));
        return Commands.command(words).run();
    }

    private Server serveUsers() throws IOException {
        Requires.root();
        Requires.tool("setpriv", "util-linux");
        Server server = serve(
                "unix = \"" + socket + "\"",
                export("nobodys", "users = [\"nobody\"]")
                        + export("roots", "users = [\"0\"]\nread_only_for = [\"group:4242\", \"10.0.0.0/8\"]")
                        + export("groups", "groups = [\"4242\", \"root\"]")
                        + export("both", "users = [\"root\"]\nallow = [\"127.0.0.1\"]")
                        + export("far", "allow = [\"127.0.0.1\"]"));
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rwxrwxrwx"));
        return server;
    }

    @Test
    void exportsAreForTheirUsersAndGroups() throws IOException {
        try (Server server = serveUsers()) {
            assertThat(server.connections()).isZero();
            as(NOBODY, "", "nobodys").expectSuccess();
            assertThat(as(NOBODY, "", "roots").stderr()).contains("server policy");
            assertThat(as(NOBODY, "", "groups").exit()).isEqualTo(1);
            as(NOBODY, "1,4242", "groups").expectSuccess();
            assertThat(as(0, "", "nobodys").exit()).isEqualTo(1);
            as(0, "", "roots").expectSuccess();
            as(0, "", "groups").expectSuccess();
            as(0, "", "both").expectSuccess();
            assertThat(as(0, "", "far").exit()).isEqualTo(1);
        }
    }

    @Test
    void theListAndTheAnswersToInfoAreThoseForTheClient() throws IOException {
        try (Server server = serveUsers();
                WireClient root = WireClient.unix(socket)) {
            assertThat(server.connections()).isLessThanOrEqualTo(1);
            assertThat(root.option(WireClient.LIST)).hasSize(4); // and the acknowledgement
            assertThat(root.answer(WireClient.INFO, WireClient.export("nobodys")))
                    .isEqualTo(WireClient.POLICY);
            assertThat(root.answer(WireClient.INFO, WireClient.export("far"))).isEqualTo(WireClient.POLICY);
            assertThat(root.answer(WireClient.INFO, WireClient.export("roots"))).isEqualTo(WireClient.ACK);
        }
    }

    @Test
    void anExportIsReadOnlyForSomeAndNotForOthers() throws IOException {
        try (Server server = serveUsers()) {
            assertThat(server.connections()).isZero();
            assertThat(as(0, "1", "roots").exit()).isZero();
            assertThat(as(0, "4242", "roots").exit()).as("cannot write").isEqualTo(2);
            // Whatever a client makes of that.
            List<String> words = List.of(
                    "setpriv", "--groups=4242", "/usr/bin/python3", "-c", """
                    import nbd, sys
                    h = nbd.NBD()
                    h.set_strict_mode(0)
                    h.connect_uri(sys.argv[1])
                    h.pread(512, 0)
                    for attempt in (lambda: h.pwrite(b'x' * 512, 0), lambda: h.zero(512, 0), lambda: h.trim(512, 0)):
                        try:
                            attempt()
                            print('written')
                        except nbd.Error as e:
                            print(e.errno)
                    """, "nbd+unix:///roots?socket=" + socket);
            Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
            assertThat(Commands.command(words).run().expectSuccess().stdout())
                    .isEqualToIgnoringNewLines("EPERMEPERMEPERM");
        }
    }

    // ---- certificates --------------------------------------------------------------------------------------------

    private Path client(String subject, String... names) throws IOException {
        Path own = AUTHORITY.trustedIn(directory.resolve(subject));
        return AUTHORITY.issue(own, "client", subject, TOMORROW, names);
    }

    private static String uri(Server server, Path certificates, String export) {
        return "nbds://localhost:" + server.uris().getFirst().port() + "/" + export + "?tls-certificates="
                + certificates;
    }

    @Test
    void exportsAreForThoseWithTheRightCertificate() throws IOException {
        Path own = AUTHORITY.trustedIn(directory.resolve("server"));
        AUTHORITY.issue(own, "server", "server", TOMORROW, "localhost");
        String tls = """
            address = "127.0.0.1"
            port = 0
            tls = "allow"
            tls_verify_clients = true
            tls_certificates = "%s"
            """.formatted(own);
        String exports = export("open", "")
                + export("backups", "allow_clients = [\"CN:backup-*\", \"DNS:*.backup.example\"]")
                + export("reports", "tls = \"require\"\nread_only_for = [\"CN:guest\"]");
        Path backup = client("backup-1");
        Path other = client("storage", "one.backup.example");
        Path guest = client("guest");
        try (Server server = serve(tls, exports)) {
            for (Path admitted : List.of(backup, other)) {
                Commands.command("nbdinfo", "--size", uri(server, admitted, "backups"))
                        .run()
                        .expectSuccess();
            }
            Commands.Result refused = Commands.command("nbdinfo", "--size", uri(server, guest, "backups"))
                    .run();
            assertThat(refused.exit()).isEqualTo(1);
            assertThat(refused.stderr()).contains("server policy");
            String listed = Commands.command("nbdinfo", "--list", uri(server, guest, ""))
                    .run()
                    .expectSuccess()
                    .stdout();
            assertThat(listed).contains("open", "reports").doesNotContain("backups");
            assertThat(canWrite(uri(server, guest, "reports"))).isFalse();
            assertThat(canWrite(uri(server, backup, "reports"))).isTrue();
            try (WireClient plain = WireClient.tcp(server.uris().getFirst().port())) {
                int tlsRequired = 0x8000_0005;
                assertThat(plain.answer(WireClient.GO, WireClient.export("backups")))
                        .isEqualTo(tlsRequired);
                assertThat(plain.answer(WireClient.GO, WireClient.export("reports")))
                        .isEqualTo(tlsRequired);
                plain.go("open");
            }
        }
    }

    // ---- the log -------------------------------------------------------------------------------------------------

    /** What standard error says of an export once a client has had it. */
    private static String opened(RunningCommand server, String export) {
        return server.awaitStderr(Pattern.compile("(?m)opened export '" + export + "'.*$"), LIMIT)
                .group();
    }

    @Test
    void theLogSaysWhoHasOpenedAnExport() throws IOException {
        Requires.root();
        Requires.tool("setpriv", "util-linux");
        Path own = AUTHORITY.trustedIn(directory.resolve("server"));
        AUTHORITY.issue(own, "server", "server", TOMORROW, "localhost");
        String server = """
            [server]
            unix = "%s"
            address = "127.0.0.1"
            port = 0
            tls = "allow"
            tls_verify_clients = true
            tls_certificates = "%s"
            """.formatted(socket, own);
        Path file = Files.writeString(
                directory.resolve("server.toml"),
                server + export("local", "") + export("plain", "") + export("secure", "") + export("odd", ""));
        Path odd = AUTHORITY.trustedIn(directory.resolve("odd"));
        AUTHORITY.issue(odd, "client", "odd\u001b[31m\nfarsight: one more line", TOMORROW);
        Path alice = client("alice");
        try (RunningCommand running = Commands.command(Project.launcher().toString(), "server", file.toString())
                .start()) {
            String port = running.awaitStdout(Pattern.compile("serving nbds?://127\\.0\\.0\\.1:(\\d+)/"), LIMIT)
                    .group(1);
            running.awaitStdout(Pattern.compile("serving nbds?\\+unix://"), LIMIT);
            Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
            Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rwxrwxrwx"));
            as(NOBODY, "", "local").expectSuccess();
            assertThat(opened(running, "local")).endsWith(" bytes) for user 65534");
            String plain = "nbd://127.0.0.1:" + port + "/plain";
            Commands.command("nbdinfo", "--size", plain).run().expectSuccess();
            assertThat(opened(running, "plain")).endsWith(" bytes)");
            String tls = "nbds://localhost:" + port + "/";
            Commands.command("nbdinfo", "--size", tls + "secure?tls-certificates=" + alice)
                    .run()
                    .expectSuccess();
            assertThat(opened(running, "secure")).endsWith(" bytes) for certificate 'CN=alice'");
            Commands.command("nbdinfo", "--size", tls + "odd?tls-certificates=" + odd)
                    .run()
                    .expectSuccess();
            assertThat(opened(running, "odd"))
                    .endsWith("for certificate 'CN=odd\\u001b[31m\\u000afarsight: one more line'");
        }
    }

    private static boolean canWrite(String uri) {
        return Commands.command("nbdinfo", "--can", "write", uri).run().exit() == 0;
    }
}

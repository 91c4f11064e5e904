package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.RunningCommand;
import farsight.tools.TestAuthority;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code farsight check} as it is packaged. */
class CheckTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);

    @TempDir
    Path folder;

    private Path file;

    @BeforeEach
    void place() {
        file = folder.resolve("some.toml");
    }

    private Commands.Result check(String text, String... options) throws IOException {
        Files.writeString(file, text);
        String[] words = new String[options.length + 3];
        words[0] = Project.launcher().toString();
        words[1] = "check";
        words[2] = file.toString();
        System.arraycopy(options, 0, words, 3, options.length);
        return Commands.command(words).run();
    }

    @Test
    void aServersFileIsTold() throws IOException {
        Commands.Result result =
                check("[exports.a]\nbackend = \"memory\"\nsize = \"1MiB\"\n").expectSuccess();
        assertThat(result.stdout()).isEqualTo(file + ": good configuration of a server, 1 export\n");
        assertThat(result.stderr()).isEmpty();
    }

    /** A reload would refuse them. */
    @Test
    void certificatesAreLookedAt() throws IOException {
        String text = """
            [server]
            tls = "require"
            tls_certificates = "%s"
            [exports.a]
            backend = "memory"
            size = "1MiB"
            """.formatted(folder);
        Commands.Result missing = check(text);
        assertThat(missing.exit()).isEqualTo(1);
        assertThat(missing.stderr()).contains("server-cert.pem");
        TestAuthority authority = new TestAuthority("the authority");
        authority.issue(folder, "server", "server", Instant.now().plus(Duration.ofDays(1)), "localhost");
        check(text).expectSuccess();
        Path key = folder.resolve("server-key.pem");
        Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r--r--"));
        assertThat(check(text).stderr()).contains("others than its owner may use this private key");
    }

    @Test
    void aClientsFileIsTold() throws IOException {
        Commands.Result result = check("""
            [nbd]
            file = "/dev/nbd0"
            [server]
            address = "example.org"
            [backend]
            name = "memory"
            size = "1MiB"
            """).expectSuccess();
        assertThat(result.stdout()).isEqualTo(file + ": good configuration of a client\n");
    }

    @Test
    void allThatIsWrongIsSaidWithItsPlace() throws IOException {
        Commands.Result result = check("""
            [server]
            prot = 10809
            [exports.a]
            backend = "memorry"
            [exports.b]
            backend = "memory"
            """).expectExit(1);
        assertThat(result.stdout()).isEmpty();
        assertThat(result.stderr().lines())
                .hasSize(3)
                .allMatch(line -> line.startsWith("farsight: " + file + ":"))
                .anyMatch(line -> line.contains(":2:1: ") && line.contains("port"))
                .anyMatch(line -> line.contains(":4:") && line.contains("\"memory\""))
                .anyMatch(line -> line.contains(":5:") && line.contains("size"));
    }

    @Test
    void aClientsMistakesAreAClients() throws IOException {
        assertThat(check("[nbd]\nblocksize = 7\n[backend]\nname = \"memory\"\n")
                        .expectExit(1)
                        .stderr())
                .contains("blocksize is 7", "[server]");
    }

    @Test
    void aFileThatIsNotThereIsAnError() {
        assertThat(Commands.command(Project.launcher().toString(), "check", file.toString())
                        .run()
                        .expectExit(1)
                        .stderr())
                .startsWith("farsight: " + file)
                .hasLineCount(1);
    }

    @Test
    void eachExportIsOpenedIfAsked() throws IOException {
        Path disk = Files.write(folder.resolve("disk"), new byte[3 << 20]);
        String exports = """
            [exports.there]
            backend = "file"
            path = "%s"
            read_only = true
            [exports.missing]
            backend = "file"
            path = "%s"
            """.formatted(disk, folder.resolve("missing"));
        check(exports).expectSuccess();
        Commands.Result result = check(exports, "--open").expectExit(1);
        assertThat(result.stdout()).isEqualTo(file + ": [exports.there]: opened, 3MiB, read-only\n");
        assertThat(result.stderr())
                .startsWith("farsight: " + file + ": [exports.missing]: cannot be opened: ")
                .hasLineCount(1);
    }

    @Test
    void aClientsServerIsAskedIfWanted() throws IOException {
        String client = """
            [nbd]
            [server]
            unix = "%s"
            [backend]
            name = "memory"
            size = "1MiB"
            """.formatted(folder.resolve("nbd"));
        assertThat(check(client, "--open").expectExit(1).stderr()).startsWith("farsight: " + file + ": nbd+unix:");
        Path server = Files.writeString(folder.resolve("server.toml"), "[memory]\n");
        try (RunningCommand running = Commands.command(
                        Project.launcher().toString(),
                        "server",
                        server.toString(),
                        "--listen",
                        "unix:" + folder.resolve("nbd"))
                .start()) {
            running.awaitStdout(Pattern.compile("serving nbd"), LIMIT);
            assertThat(check(client, "--open").expectSuccess().stdout()).contains(": there, 1MiB\n");
        }
    }
}

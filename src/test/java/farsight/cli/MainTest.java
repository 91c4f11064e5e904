package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The packaged program as a user meets it: exit status, and what it says where. */
class MainTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final int FAILED = 1;
    private static final int MISUSED = 2;

    @TempDir
    Path folder;

    private static Commands farsight(String... words) {
        List<String> command = new ArrayList<>(List.of(Project.launcher().toString()));
        command.addAll(List.of(words));
        return Commands.command(command);
    }

    private Path file(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    // ---- words ---------------------------------------------------------------------------------------------------

    @Test
    void theVersionIsTheBuilds() {
        assertThat(farsight("--version").run().expectSuccess().stdout()).matches("farsight \\d+\\.\\d+\\.\\d+.*\\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "server", "client", "attach", "detach", "status", "info", "map", "copy", "rbd", "rbd snap"})
    void helpIsThereForEveryCommand(String command) {
        String help = farsight((command + " --help").strip().split(" "))
                .run()
                .expectSuccess()
                .stdout();
        assertThat(help).startsWith("Usage: farsight " + command).contains("--verbose");
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "'' | Missing required subcommand",
                "sever | did you mean server",
                "client | Missing required parameter: 'CONFIG'",
                "client a.toml b.toml | Unmatched argument at index 2: 'b.toml'",
                "server | nothing to serve: give a configuration file, or --export NAME=SPEC",
                "server --exprt a=memory:1M | did you mean --export?",
                "server --export disk | --export: export 'disk' is not NAME=BACKEND:WHAT",
                "server --export a=memroy:1M | --export: export 'a': no backend is called 'memroy'; did you mean"
                        + " 'memory'?",
                "server --export a=memory:much | --export: export 'a': 'much' is not a size",
                "server --export a=memory:1M --export a=memory:2M | --export: export 'a' is given twice",
                "server --export a=memory:1M --listen 10809 | address '10809' is not HOST:PORT",
                "server --export a=memory:1M --max-errors few | 'few' is not an int",
                "server --export a=memory:1M --max-errors=-1 | --max-errors must be 0 or more, not -1",
                "info | Missing required parameter: 'URI'",
                "info disk.img | 'disk.img': not nbd://HOST[:PORT]/EXPORT",
            },
            delimiter = '|',
            quoteCharacter = '`')
    void wrongWordsAreExitStatus2AndAnExplanation(String words, String explanation) {
        Commands.Result result = farsight(
                        words.equals("''") ? new String[0] : words.strip().split(" "))
                .run()
                .expectExit(MISUSED);
        assertThat(result.stdout()).isEmpty();
        assertThat(result.stderr().lines())
                .hasSize(2)
                .allSatisfy(line -> assertThat(line).startsWith("farsight: "))
                .anySatisfy(line -> assertThat(line).contains(explanation));
    }

    // ---- configuration -------------------------------------------------------------------------------------------

    @Test
    void everyMistakeOfAFileIsListedAndNothingIsStarted() throws IOException {
        Path socket = folder.resolve("socket");
        Path image = folder.resolve("disk.img");
        Path config = file("broken.toml", """
            [server]
            unix = "%s"
            prot = 10809
            max_errors = "10"

            [flie]
            root = "/srv"

            [exports.disk]
            backend = "file"
            path = "%s"
            create = true
            size = "1GB"
            """.formatted(socket, image));
        Commands.Result result = farsight("server", config.toString()).run().expectExit(FAILED);
        assertThat(result.stdout()).isEmpty();
        assertThat(result.stderr().lines())
                .containsExactly(
                        "farsight: " + config + ":3:1: unknown key 'prot' in [server]; did you mean 'port'?",
                        "farsight: " + config
                                + ":4:1: [server] max_errors must be a whole number, not the string \"10\"; remove the"
                                + " quotes",
                        "farsight: " + config
                                + ":6:1: unknown section [flie], which is no backend that is installed; did you mean"
                                + " [file]?",
                        "farsight: " + config
                                + ":13:1: [exports.disk] size: '1GB' could be a power of 1000 or of 1024; write 1GiB"
                                + " for 1024");
        assertThat(socket).doesNotExist();
        assertThat(image).doesNotExist();
    }

    @Test
    void aClientsFileIsCheckedBeforeTheDeviceIsTouched() throws IOException {
        Path config = file("client.toml", "[nbd]\nfile = \"/dev/nbd0\"\n[server]\naddress = \"::1\"\n");
        Commands.Result result = farsight("client", config.toString()).run().expectExit(FAILED);
        assertThat(result.stderr()).isEqualTo("farsight: " + config + ":1:1: the section [backend] is missing\n");
    }

    @Test
    void aFileWithNothingToServeIsRefused() throws IOException {
        Path config = file("empty.toml", "");
        assertThat(farsight("server", config.toString())
                        .run()
                        .expectExit(FAILED)
                        .stderr())
                .startsWith("farsight: " + config + ": nothing to serve; add an export ([exports.NAME]) or the section")
                .hasLineCount(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"server", "client"})
    void aMissingFileIsOneLine(String command) {
        assertThat(farsight(command, "/nonexistent.toml")
                        .run()
                        .expectExit(FAILED)
                        .stderr())
                .isEqualTo("farsight: /nonexistent.toml: no such file; give the path of a TOML file\n");
    }

    @Test
    void variablesOfTheEnvironmentAreHeard() {
        Path socket = folder.resolve("by-variable");
        Commands server =
                farsight("server", "--export", "a=memory:1MiB").environment("FARSIGHT_SERVER_UNIX", socket.toString());
        try (RunningCommand running = server.start()) {
            running.awaitStdout(
                    Pattern.compile("serving nbd\\+unix:///a\\?socket=" + Pattern.quote(socket.toString())), LIMIT);
        }
        assertThat(server.environment("FARSIGHT_SERVER_PROT", "1")
                        .run()
                        .expectExit(FAILED)
                        .stderr())
                .isEqualTo("farsight: FARSIGHT_SERVER_PROT: no setting has this variable; did you mean"
                        + " FARSIGHT_SERVER_PORT?\n");
    }

    // ---- running -------------------------------------------------------------------------------------------------

    @Test
    void aFailureIsOneLineAndItsTraceIsForVerbose() {
        String uri = "nbd+unix:///a?socket=" + folder.resolve("nobody");
        Commands.Result terse = farsight("info", uri).run().expectExit(FAILED);
        assertThat(terse.stdout()).isEmpty();
        assertThat(terse.stderr())
                .startsWith("farsight: cannot reach the server")
                .hasLineCount(1);

        Commands.Result verbose = farsight("--verbose", "info", uri).run().expectExit(FAILED);
        assertThat(verbose.stderr()).startsWith(terse.stderr()).contains("/farsight.cli.Main.main(");
    }

    @Test
    void theServerSaysWhereAndEndsWithoutErrorWhenToldTo() throws IOException {
        Path socket = folder.resolve("a b");
        try (RunningCommand server = serve(
                "--export",
                "disk=memory:1MiB",
                "--listen",
                "unix:" + socket,
                "--listen",
                "127.0.0.1:0",
                "--listen",
                "[::1]:0")) {
            List<String> uris = new ArrayList<>();
            for (String form : List.of(
                    "nbd\\+unix:///disk\\?socket=" + Pattern.quote(folder + "/a%20b"),
                    "nbd://127\\.0\\.0\\.1:\\d+/disk",
                    "nbd://\\[::1]:\\d+/disk")) {
                uris.add(server.awaitStdout(
                                Pattern.compile("^farsight: serving (" + form + ")\\n", Pattern.MULTILINE), LIMIT)
                        .group(1));
            }
            for (String uri : uris) {
                assertThat(farsight("info", "--json", uri).run().expectSuccess().stdout())
                        .contains("\"export\": \"disk\"", "\"size\": 1048576");
                assertThat(farsight("info", "--json", "--list", uri)
                                .run()
                                .expectSuccess()
                                .stdout())
                        .isEqualTo("[\n  {\"export\": \"disk\", \"description\": \"\"}\n]\n");
            }
            server.terminate();
            Commands.Result end = server.await(LIMIT).expectSuccess();
            assertThat(end.stdout()).hasLineCount(3);
            assertThat(end.stderr()).isEmpty();
        }
        assertThat(socket).doesNotExist();
    }

    @Test
    void localhostIsEveryLoopbackAddressThatTheMachineHas() throws IOException {
        boolean v6 = NetworkInterface.getByInetAddress(InetAddress.ofLiteral("::1")) != null;
        try (RunningCommand server = serve("--export", "a=memory:1MiB", "--listen", "localhost:0")) {
            String port = server.awaitStdout(Pattern.compile("serving nbd://127\\.0\\.0\\.1:(\\d+)/a\\n"), LIMIT)
                    .group(1);
            if (v6) {
                server.awaitStdout(Pattern.compile("serving nbd://\\[::1]:" + port + "/a\\n"), LIMIT);
            }
            server.terminate();
            assertThat(server.await(LIMIT).expectSuccess().stdout()).hasLineCount(v6 ? 2 : 1);
        }
    }

    @Test
    void aHostThatNobodyKnowsIsOneLine() {
        assertThat(farsight("server", "--export", "a=memory:1MiB", "--listen", "nobody.invalid:0")
                        .run()
                        .expectExit(FAILED)
                        .stderr())
                .isEqualTo(
                        "farsight: cannot listen on 'nobody.invalid': no such host is known; check the name, or write"
                                + " an address\n");
    }

    @Test
    void wordsTakeTheirPlaceBeforeTheFiles() throws IOException {
        Path config = file("server.toml", """
            [server]
            unix = "%s"

            [exports.disk]
            backend = "memory"
            size = "1MiB"

            [exports.other]
            backend = "memory"
            size = "3MiB"
            description = "of the file"
            """.formatted(folder.resolve("unused")));
        String socket = folder.resolve("used").toString();
        try (RunningCommand server = serve(
                config.toString(), "--listen", "unix:" + socket, "--export", "disk=memory:2MiB", "--max-errors", "0")) {
            server.awaitStdout(Pattern.compile("serving nbd\\+unix:///other\\?socket=" + Pattern.quote(socket)), LIMIT);
            assertThat(farsight("info", "--json", "nbd+unix:///disk?socket=" + socket)
                            .run()
                            .expectSuccess()
                            .stdout())
                    .contains("\"size\": 2097152");
            assertThat(farsight("info", "--json", "nbd+unix:///other?socket=" + socket)
                            .run()
                            .expectSuccess()
                            .stdout())
                    .contains("\"size\": 3145728", "\"description\": \"of the file\"");
        }
        assertThat(folder.resolve("unused")).doesNotExist();
    }

    private static RunningCommand serve(String... words) {
        List<String> command = new ArrayList<>(List.of("server"));
        command.addAll(List.of(words));
        return farsight(command.toArray(String[]::new)).start();
    }
}

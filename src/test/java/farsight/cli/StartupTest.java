package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The start-up archives that the build makes: they are used, and where one does not fit nobody notices. */
class StartupTest {
    private static final String FROM_ARCHIVE = "source: shared objects file";

    @TempDir
    Path folder;

    @Test
    void theProgramStartsFromItsArchive() {
        List<String> loaded = Commands.command(Project.launcher().toString(), "--version")
                .environment("FARSIGHT_JAVA_OPTS", "-Xlog:class+load:stderr")
                .run()
                .expectSuccess()
                .stderr()
                .lines()
                .filter(line -> line.contains(" farsight.") || line.contains(" picocli."))
                .toList();
        assertThat(loaded).isNotEmpty().allMatch(line -> line.contains(FROM_ARCHIVE));
    }

    @ParameterizedTest
    @CsvSource({
        "readers, info UNIX",
        "readers, info TCP",
        "readers, copy UNIX FILE",
        "readers, copy TCP FILE",
        "writers, copy FILE UNIX",
        "writers, copy FILE TCP"
    })
    void plainClientsStartFromArchivesOfTheirOwn(String archive, String words) throws IOException {
        assumeThat(Runtime.version().feature()).isGreaterThanOrEqualTo(25);
        List<String> lines = client(words, "-XX:+PrintCommandLineFlags -Xlog:class+load:stdout")
                .lines()
                .toList();
        assertThat(lines).anyMatch(line -> line.contains("/" + archive + ".jsa "));
        assertThat(lines.stream().filter(line -> line.contains(" farsight.")))
                .isNotEmpty()
                .allMatch(line -> line.contains(FROM_ARCHIVE));
    }

    /** But for one or two that Java does not archive: JFR's events, and another of its own. */
    @ParameterizedTest
    @ValueSource(strings = {"info UNIX", "info TCP", "copy UNIX FILE", "copy TCP FILE"})
    void readersLoadNothingElse(String words) throws IOException {
        assumeThat(Runtime.version().feature()).isGreaterThanOrEqualTo(25);
        assertThat(client(words, "-Xlog:class+load:stdout")
                        .lines()
                        .filter(line -> line.contains("[class,load]")
                                && !line.contains(FROM_ARCHIVE)
                                && !line.contains("jdk.internal.event.")))
                .hasSizeLessThan(4);
    }

    @ParameterizedTest
    @ValueSource(strings = {"info --json UNIX", "copy --quiet UNIX FILE", "map UNIX"})
    void otherClientsStartFromTheArchiveOfAll(String words) throws IOException {
        assertThat(client(words, "-XX:+PrintCommandLineFlags"))
                .contains("/farsight.jsa ")
                .doesNotContain("/readers.jsa ", "/writers.jsa ");
    }

    /** Nothing is said about archives; {@link #client} sees to that. */
    @ParameterizedTest
    @ValueSource(strings = {"-XX:-UseCompressedOops", "-Xshare:off", "--limit-modules=farsight"})
    void clientsStartWithoutAnArchiveThatDoesNotFit(String option) throws IOException {
        for (String words : List.of("info UNIX", "copy UNIX FILE", "copy FILE UNIX")) {
            assertThat(client(words, option)).contains(words.startsWith("info") ? "1MiB" : "copied 1MiB");
        }
    }

    /** What a client prints that Java starts with these options; UNIX and TCP are a server, FILE is a file. */
    private String client(String words, String options) throws IOException {
        Requires.tool("nbdkit", "nbdkit");
        Path socket = folder.resolve("socket");
        Path ready = folder.resolve("ready");
        Path file = folder.resolve("file");
        Files.write(file, new byte[1 << 20]);
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        List<String> command = new ArrayList<>(List.of(Project.launcher().toString()));
        for (String word : words.split(" ")) {
            command.add(
                    switch (word) {
                        case "UNIX" -> "nbd+unix:///?socket=" + socket;
                        case "TCP" -> "nbd://127.0.0.1:" + port;
                        case "FILE" -> file.toString();
                        default -> word;
                    });
        }
        String[] where = words.contains("TCP")
                ? new String[] {"-i", "127.0.0.1", "-p", Integer.toString(port)}
                : new String[] {"-U", socket.toString()};
        try (RunningCommand server = Commands.command(Stream.of(
                                Stream.of("nbdkit", "-f", "-P", ready.toString()),
                                Stream.of(where),
                                Stream.of("memory", "1M"))
                        .flatMap(part -> part)
                        .toArray(String[]::new))
                .start()) {
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            while (!Files.exists(ready)) {
                assertThat(System.nanoTime())
                        .as("the start of nbdkit (%d)", server.pid())
                        .isLessThan(deadline);
                Thread.onSpinWait();
            }
            Commands.Result result = Commands.command(command.toArray(String[]::new))
                    .environment("JDK_JAVA_OPTIONS", options)
                    .run()
                    .expectSuccess();
            assertThat(result.stderr().lines()).allMatch(line -> line.startsWith("NOTE: Picked up"));
            return result.stdout();
        } finally {
            Files.deleteIfExists(ready);
            Files.deleteIfExists(socket);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"-Xshare:off", "-XX:+UseParallelGC", "-Xmx64m", "-XX:-UseCompressedOops"})
    void otherOptionsOfTheVirtualMachineAreNoReasonToFail(String option) {
        assertQuiet(
                Commands.command(Project.launcher().toString(), "--version").environment("FARSIGHT_JAVA_OPTS", option));
    }

    @Test
    void aCopyElsewhereStarts() throws IOException {
        assertQuiet(Commands.command(copy("a copy").resolve("bin/farsight").toString(), "--version"));
    }

    @Test
    void aLinkLeadsToTheProgram() throws IOException {
        Path link = Files.createSymbolicLink(folder.resolve("link"), Project.launcher());
        assertQuiet(Commands.command(link.toString(), "--version"));
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 10, 100_000})
    void aDamagedArchiveIsNoReasonToFail(long left) throws IOException {
        Path copy = copy("copy");
        try (Stream<Path> files = Files.list(copy.resolve("lib"))) {
            for (Path archive :
                    files.filter(file -> file.toString().matches(".*\\.jsa")).toList()) {
                try (var channel = Files.newByteChannel(archive, StandardOpenOption.WRITE)) {
                    channel.truncate(left);
                }
            }
        }
        assertQuiet(Commands.command(copy.resolve("bin/farsight").toString(), "--version"));
        assertThat(Commands.command(
                                copy.resolve("bin/farsight").toString(),
                                "info",
                                "nbd+unix:///?socket=" + folder.resolve("nobody"))
                        .run()
                        .stderr()
                        .lines())
                .singleElement()
                .asString()
                .contains("cannot reach the server");
    }

    private static void assertQuiet(Commands version) {
        Commands.Result result = version.run().expectSuccess();
        assertThat(result.stdout()).matches("farsight \\S+\\n");
        assertThat(result.stderr()).isEmpty();
    }

    private Path copy(String name) throws IOException {
        Path home = Project.launcher().getParent().getParent();
        Path copy = folder.resolve(name);
        try (Stream<Path> files = Files.walk(home)) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(home.relativize(file)));
            }
        }
        return copy;
    }
}

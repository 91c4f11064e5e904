package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The start-up archive that the build makes: it is used, and where it does not fit nobody notices. */
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

    @Test
    void plainClientsStartFromTheirCache() {
        assumeThat(Runtime.version().feature()).isGreaterThanOrEqualTo(25);
        Commands.Result plain = info("nbd+unix:///?socket=" + folder.resolve("nobody"))
                .environment("JDK_JAVA_OPTIONS", "-XX:+PrintCommandLineFlags -Xlog:class+load:stdout")
                .run();
        assertThat(plain.stdout()).contains("/clients.aot ");
        // What a switch over types becomes is made anew in each run.
        assertThat(plain.stdout().lines().filter(line -> line.contains(" farsight.") && !line.contains("$$TypeSwitch")))
                .isNotEmpty()
                .allMatch(line -> line.contains(FROM_ARCHIVE));
        assertThat(plain.stderr().lines().filter(line -> !line.startsWith("NOTE: ")))
                .singleElement()
                .asString()
                .contains("cannot reach the server");
    }

    @Test
    void otherClientsDoNot() {
        Commands.Result other = info("--json", "nbd+unix:///?socket=" + folder.resolve("nobody"))
                .environment("JDK_JAVA_OPTIONS", "-XX:+PrintCommandLineFlags")
                .run();
        assertThat(other.stdout()).contains("/farsight.jsa ").doesNotContain("/clients.aot ");
    }

    private static Commands info(String... words) {
        List<String> command = new ArrayList<>(List.of(Project.launcher().toString(), "info"));
        command.addAll(List.of(words));
        return Commands.command(command.toArray(String[]::new));
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
            for (Path archive : files.filter(file -> file.toString().matches(".*\\.(aot|jsa)"))
                    .toList()) {
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

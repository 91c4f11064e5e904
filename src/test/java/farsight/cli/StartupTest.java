package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
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

package farsight.dist;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The packages of {@code mvn -Pdist verify}. */
class DistTest {
    private static final Duration LIMIT = Duration.ofMinutes(5);

    /** The folder of the packages; absent when they were not built. */
    private static final String BUILT = System.getProperty("farsight.dist");

    @TempDir
    Path folder;

    @BeforeEach
    void packagesAreThere() {
        Requires.that(BUILT != null, "the packages", "run mvn -Pdist verify");
    }

    @Test
    void theQuickStartRunsFromTheDebianPackageInACleanRoot() {
        Requires.root();
        Requires.tool("dpkg", "dpkg");
        Requires.tool("mke2fs", "e2fsprogs");
        Path script = Project.ROOT.resolve("src/test/tools/clean-root");
        String out = Commands.command(
                        "bash",
                        script.toString(),
                        built(".deb").toString(),
                        Project.ROOT.toString(),
                        "sh",
                        "-c",
                        "! command -v java && FARSIGHT=/usr/bin/farsight exec bash /mnt/examples/quickstart.sh")
                .limit(LIMIT)
                .run()
                .expectSuccess()
                .stdout();
        assertThat(out).contains("The file system that was read back is clean");
    }

    @Test
    void theArchiveRunsWhereItIsUnpackedAndStartsFromItsClasses() {
        Commands.command("tar", "-xzf", built(".tar.gz").toString(), "-C", folder.toString(), "--strip-components=1")
                .limit(LIMIT)
                .run()
                .expectSuccess();
        Commands.Result version = Commands.command(
                        folder.resolve("bin/farsight").toString(), "--version")
                .environment("FARSIGHT_JAVA_OPTS", "-Xlog:class+load:stderr")
                .environment("JAVA_HOME", "/nonexistent")
                .run()
                .expectSuccess();
        assertThat(version.stdout()).matches("farsight \\S+\\n");
        assertThat(version.stderr().lines().filter(line -> line.contains(" farsight.")))
                .isNotEmpty()
                .allMatch(line -> line.contains("source: shared objects file"));
        assertThat(folder.resolve("share/man/man1/farsight-server.1"))
                .content()
                .startsWith(".TH FARSIGHT\\-SERVER 1")
                .contains("\\-\\-export");
    }

    @Test
    void theCompletionKnowsTheCommandsAndNotTheHiddenOnes() throws IOException {
        Commands.command("tar", "-xzf", built(".tar.gz").toString(), "-C", folder.toString(), "--strip-components=1")
                .limit(LIMIT)
                .run()
                .expectSuccess();
        Path completion = folder.resolve("share/bash-completion/completions/farsight");
        String words = Commands.command(
                        "bash",
                        "-c",
                        "source \"$1\"; COMP_WORDS=(farsight ''); COMP_CWORD=1; COMP_LINE='farsight ';"
                                + " _complete_farsight; echo \"${COMPREPLY[@]}\"",
                        "bash",
                        completion.toString())
                .run()
                .expectSuccess()
                .stdout();
        assertThat(words).contains("server", "client", "copy").doesNotContain("rehearse");
    }

    @Test
    void theSameSourcesGiveTheSamePackages() throws IOException {
        Path home = Project.launcher().getParent().getParent();
        try (Stream<Path> files = Files.walk(home)) {
            for (Path file : files.toList()) {
                Files.copy(
                        file,
                        folder.resolve("farsight").resolve(home.relativize(file)),
                        StandardCopyOption.COPY_ATTRIBUTES);
            }
        }
        Commands.command(
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "-Dfarsight.version=" + System.getProperty("farsight.dist.version"),
                        "-Dfarsight.time=" + System.getProperty("farsight.dist.time"),
                        Project.ROOT.resolve("src/dist/build/Dist.java").toString(),
                        Project.ROOT.toString(),
                        folder.toString())
                .limit(LIMIT)
                .run()
                .expectSuccess();
        for (String kind : List.of(".deb", ".tar.gz")) {
            assertThat(content(single(folder, kind))).as(kind).isEqualTo(content(built(kind)));
        }
    }

    /**
     * Names, modes, owners, times and checksums of what a package has. Of the start-up archives only that they are there: what
     * a virtual machine loads in a run, and so what they are made of, is now and then a class more or less.
     */
    private static String content(Path pack) {
        String unpack = pack.toString().endsWith(".deb") ? "dpkg-deb --fsys-tarfile '%s'" : "gzip -dc '%s'";
        String script = """
            set -e
            %1$s | tar -tvf - | sed -E '/(farsight|readers|writers)[.]jsa$/s/ [0-9]+ / SIZE /'
            %1$s | tar -xf - --to-command='printf "%%s %%s\\n" "$TAR_FILENAME" "$(sha256sum)"' | grep -v -e '[.]jsa' -e md5sums
            """.formatted(unpack.formatted(pack));
        return Commands.command("bash", "-c", script).run().expectSuccess().stdout();
    }

    private static Path built(String kind) {
        return single(Path.of(BUILT), kind);
    }

    private static Path single(Path where, String kind) {
        try (Stream<Path> files = Files.list(where)) {
            List<Path> found =
                    files.filter(file -> file.toString().endsWith(kind)).toList();
            assertThat(found).hasSize(1);
            return found.getFirst();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}

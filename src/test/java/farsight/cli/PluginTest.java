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
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Backends from jars, built as examples/backend-ramdisk says. */
class PluginTest {
    private static final Path EXAMPLE = Project.ROOT.resolve("examples/backend-ramdisk");
    private static final Duration LIMIT = Duration.ofSeconds(60);

    @TempDir
    Path folder;

    @Test
    void aDiskFromAJarHoldsWhatIsWritten() throws IOException {
        roundTrip(jar(folder.resolve("ramdisk.jar")));
    }

    @Test
    void aDirectoryOfJarsIsOneEntry() throws IOException {
        Path directory = Files.createDirectory(folder.resolve("plugins"));
        jar(directory.resolve("ramdisk.jar"));
        roundTrip(directory);
    }

    @Test
    void theExampleNeedsFewerThan25Lines() throws IOException {
        assertThat(Files.readAllLines(EXAMPLE.resolve("ramdisk/RamDisk.java"))).hasSizeLessThan(25);
    }

    /** In one connection: the disk is closed with its last client, and its content is gone with it. */
    private void roundTrip(Path pluginPath) throws IOException {
        String qemuIo = Requires.tool("qemu-io", "qemu-utils").toString();
        Path socket = folder.resolve("socket");
        try (RunningCommand server =
                farsight("server", config(pluginPath, socket)).start()) {
            server.awaitStdout(Pattern.compile("farsight: serving .*"), LIMIT);
            String uri = "nbd+unix:///disk?socket=" + socket;
            String out = Commands.command(
                            qemuIo, "-f", "raw", "-c", "write -P 7 4096 65536", "-c", "read -P 7 4096 65536", uri)
                    .run()
                    .expectSuccess()
                    .stdout();
            assertThat(out).contains("read 65536/65536 bytes").doesNotContain("verification failed");
        }
    }

    @Test
    void aJarThatIsNotOneIsOneLine() throws IOException {
        Path jar = Files.writeString(folder.resolve("broken.jar"), "no archive");
        assertRefused(jar, "plugin_path: " + jar + " cannot be loaded: ");
    }

    @Test
    void aJarThatEndsEarlyIsOneLine() throws IOException {
        Path jar = jar(folder.resolve("short.jar"));
        byte[] bytes = Files.readAllBytes(jar);
        Files.write(jar, java.util.Arrays.copyOf(bytes, bytes.length / 2));
        assertRefused(jar, "plugin_path: " + jar + " cannot be loaded: ");
    }

    @Test
    void aJarWithoutABackendIsOneLine() throws IOException {
        Path jar = folder.resolve("empty.jar");
        Path classes = classes();
        command("jar", "--create", "--file", jar.toString(), "-C", classes.toString(), ".");
        assertRefused(jar, "plugin_path: " + jar + " has no backend");
    }

    @Test
    void aProviderThatIsNotThereIsOneLine() throws IOException {
        Path services = Files.createDirectories(folder.resolve("x/META-INF/services"));
        Files.writeString(services.resolve("farsight.backend.BackendProvider"), "ramdisk.Missing\n");
        Path jar = folder.resolve("missing.jar");
        command(
                "jar",
                "--create",
                "--file",
                jar.toString(),
                "-C",
                folder.resolve("x").toString(),
                ".");
        assertRefused(jar, "plugin_path: " + jar + " cannot be loaded: ");
    }

    @Test
    void aPathThatIsNotThereIsOneLine() throws IOException {
        assertRefused(
                folder.resolve("nothing.jar"), "plugin_path: " + folder.resolve("nothing.jar") + " does not exist");
    }

    @Test
    void twoBackendsOfOneNameAreOneLine() throws IOException {
        Path directory = Files.createDirectory(folder.resolve("plugins"));
        jar(directory.resolve("one.jar"));
        Path config = Files.writeString(folder.resolve("twice.toml"), """
            [server]
            plugin_path = ["%1$s", "%1$s"]
            [exports.disk]
            backend = "memory"
            size = "1MiB"
            """.formatted(directory));
        assertThat(onlyLine(farsight("server", config.toString()))).contains("as does ramdisk.RamDiskProvider");
    }

    // ---- building ------------------------------------------------------------------------------------------------

    private Path classes() {
        Path classes = folder.resolve("classes");
        try (Stream<Path> files = Files.list(EXAMPLE.resolve("ramdisk"))) {
            List<String> words = new ArrayList<>(List.of("--release", "22", "-d", classes.toString(), "-cp"));
            words.add(Project.launcher()
                    .getParent()
                    .getParent()
                    .resolve("lib/farsight.jar")
                    .toString());
            files.forEach(file -> words.add(file.toString()));
            command("javac", words.toArray(String[]::new));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        return classes;
    }

    private Path jar(Path jar) {
        String classes = classes().toString();
        command("jar", "--create", "--file", jar.toString(), "-C", classes, ".", "-C", EXAMPLE.toString(), "META-INF");
        return jar;
    }

    private static void command(String tool, String... words) {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", tool).toString()));
        command.addAll(List.of(words));
        Commands.command(command).limit(LIMIT).run().expectSuccess();
    }

    // ---- running -------------------------------------------------------------------------------------------------

    private static Commands farsight(String... words) {
        List<String> command = new ArrayList<>(List.of(Project.launcher().toString()));
        command.addAll(List.of(words));
        return Commands.command(command);
    }

    private String config(Path pluginPath, Path socket) throws IOException {
        return Files.writeString(folder.resolve("server.toml"), """
            [server]
            unix = "%s"
            plugin_path = ["%s"]
            [exports.disk]
            backend = "ramdisk"
            size = "1MiB"
            """.formatted(socket, pluginPath))
                .toString();
    }

    private void assertRefused(Path pluginPath, String why) throws IOException {
        assertThat(onlyLine(farsight("server", config(pluginPath, folder.resolve("socket")))))
                .startsWith("farsight: " + why);
    }

    private static String onlyLine(Commands server) {
        Commands.Result result = server.run().expectExit(1);
        assertThat(result.stderr().lines()).hasSize(1);
        return result.stderr();
    }
}

package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TomlFileTest {
    @TempDir
    Path folder;

    private static void refused(Path path, String message) {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> ServerConfig.load(path, Providers.SOME))
                .withMessage(path + message)
                .satisfies(refusal -> assertThat(refusal.problems()).isEmpty());
    }

    @Test
    void theFileIsNamedInProblemsAsItWasGiven() throws IOException {
        Path path = Files.writeString(folder.resolve("s.toml"), "[server]\nx = 1");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> ServerConfig.load(path, Providers.SOME))
                .withMessageStartingWith(path + ":2:1: ");
    }

    @Test
    void aByteOrderMarkIsPassedOver() throws IOException {
        Path path = Files.writeString(folder.resolve("s.toml"), "\uFEFF[server]\nport = 1");
        assertThat(ServerConfig.load(path, Providers.SOME).listen())
                .containsExactly(new ListenAddress.Tcp("localhost", 1));
    }

    @Test
    void aFileThatIsNotThereIsSaidToBe() {
        refused(folder.resolve("x.toml"), ": no such file; give the path of a TOML file");
    }

    @Test
    void aDirectoryIsNoFile() {
        refused(folder, ": cannot be read: Is a directory");
    }

    @Test
    void aFileThatIsNotUtf8IsSaidToBe() throws IOException {
        Path path = folder.resolve("latin1.toml");
        Files.write(path, "# ä".getBytes(StandardCharsets.ISO_8859_1));
        refused(path, ": not UTF-8, which TOML has to be; convert it");
    }

    @Test
    void aFileWithoutEndIsNotReadToIt() {
        refused(Path.of("/dev/zero"), ": more than 1MiB, which is no configuration");
    }
}

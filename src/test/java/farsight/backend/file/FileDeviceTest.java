package farsight.backend.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.BackendContract;
import farsight.backend.Device;
import farsight.backend.Settings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileDeviceTest extends BackendContract {
    @TempDir
    Path directory;

    @Override
    protected Device open() throws IOException {
        return open(Map.of("path", directory + "/disk.img", "create", true, "size", SIZE));
    }

    private static Device open(Map<String, Object> settings) throws IOException {
        return new FileProvider().configure(Settings.NONE).open(new Settings(settings));
    }

    @Test
    void aCreatedFileIsSparse() throws IOException {
        open(Map.of("path", directory + "/sparse.img", "create", true, "size", 1L << 40))
                .close();
        assertThat(Files.size(directory.resolve("sparse.img"))).isEqualTo(1L << 40);
    }

    @Test
    void aFileOfAnotherSizeIsLeftAlone() throws IOException {
        Path file = Files.write(directory.resolve("other.img"), new byte[8192]);
        assertThatThrownBy(() -> open(Map.of("path", file.toString(), "create", true, "size", 4096L)))
                .hasMessage(file + ": has 8KiB and not the configured size of 4KiB; correct size, or resize the file");
        assertThat(Files.size(file)).isEqualTo(8192);
    }

    @Test
    void whatCannotBeOpenedIsSaidInOneLine() {
        assertThatThrownBy(() -> open(Map.of("path", directory + "/missing.img")))
                .hasMessage(directory + "/missing.img: no such file; make it, or set create = true and size");
        assertThatThrownBy(() -> open(Map.of("path", directory.toString(), "read_only", true)))
                .hasMessage(directory + ": is neither a regular file nor a block device");
        assertThatThrownBy(() -> open(Map.of("path", "/dev/null")))
                .hasMessageContaining("is neither a regular file nor a block device");
    }

    @Test
    void clientsCanNameNothingWithoutARoot() {
        assertThatThrownBy(() ->
                        new FileProvider().configure(Settings.NONE).openTyped(new Settings(Map.of("path", "disk.img"))))
                .hasMessageContaining("has no root");
    }
}

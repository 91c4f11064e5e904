package farsight.backend.file;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.BackendContract;
import farsight.backend.Device;
import farsight.backend.Settings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With O_DIRECT: whole blocks, and memory that is not aligned all the same. */
class DirectFileTest extends BackendContract {
    @TempDir
    Path directory;

    @Override
    protected Device open() throws IOException {
        return new FileProvider()
                .configure(Settings.NONE)
                .open(new Settings(
                        Map.of("path", directory + "/direct.img", "create", true, "size", SIZE, "direct", true)));
    }

    @Test
    void itAsksForWholeBlocks() throws IOException {
        try (Device device = open()) {
            assertThat(device.blockSizes().minimum()).isGreaterThanOrEqualTo(512);
        }
    }
}

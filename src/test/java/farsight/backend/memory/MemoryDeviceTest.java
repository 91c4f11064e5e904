package farsight.backend.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.Backend;
import farsight.backend.BackendContract;
import farsight.backend.Device;
import farsight.backend.Settings;
import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MemoryDeviceTest extends BackendContract {
    @Override
    protected Device open() throws IOException {
        return new MemoryProvider().configure(Settings.NONE).open(size(SIZE));
    }

    private static Settings size(long size) {
        return new Settings(Map.of("size", size));
    }

    @Test
    void allExportsTogetherKeepToTheLimit() throws IOException {
        Backend backend = new MemoryProvider().configure(new Settings(Map.of("limit", 10L << 20)));
        Device first = backend.open(size(8 << 20));
        assertThatThrownBy(() -> backend.open(size(4 << 20)))
                .hasMessage("a memory export of 4MiB does not fit: 8MiB of 10MiB are in use; raise [memory] limit");
        first.close();
        backend.open(size(4 << 20)).close();
    }

    @Test
    void hugeAndSparseIsNoProblem() throws IOException {
        Backend backend = new MemoryProvider().configure(new Settings(Map.of("limit", 1L << 50)));
        try (Device device = backend.open(size(1L << 40))) {
            assertThat(device.size()).isEqualTo(1L << 40);
        }
        assertThatThrownBy(() -> backend.open(size(0))).hasMessageContaining("1 byte to 64TiB");
    }
}

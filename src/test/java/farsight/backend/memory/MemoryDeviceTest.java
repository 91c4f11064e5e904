package farsight.backend.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Backend;
import farsight.backend.BackendContract;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.sys.CallState;
import farsight.sys.Memory;
import farsight.sys.Process;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.function.LongPredicate;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class MemoryDeviceTest extends BackendContract {
    private static final long PAGE = Process.pageSize();

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

    @Test
    void whatIsAnnouncedTakesNoMemoryBeforeItComes() throws IOException {
        Arena arena = Arena.ofAuto();
        MemorySegment pages = arena.allocate(SIZE / PAGE);
        try (AsyncBlockDevice device = (AsyncBlockDevice) open();
                CallState state = CallState.open()) {
            LongPredicate present = page -> {
                boolean known = Memory.residence(state, device.memory().address(), SIZE, pages);
                return known && pages.get(ValueLayout.JAVA_BYTE, page) != 0;
            };
            device.announced(new long[] {0, PAGE, SIZE - 1}, 3);
            assertThat(LongStream.range(0, SIZE / PAGE).filter(present)).isEmpty();

            device.memory().set(ValueLayout.JAVA_BYTE, PAGE + 5, (byte) 7);
            device.written(PAGE + 5, 1);
            device.announced(new long[] {0, PAGE, 2 * PAGE, PAGE + 17, 15 * PAGE}, 5);
            assertThat(LongStream.range(0, SIZE / PAGE).filter(present)).containsExactly(1L);
            assertThat(device.memory().get(ValueLayout.JAVA_BYTE, PAGE + 5)).isEqualTo((byte) 7);

            assertThat(trim(device, 0, SIZE)).isZero();
            device.announced(new long[] {PAGE, PAGE + 5}, 2);
            assertThat(LongStream.range(0, SIZE / PAGE).filter(present)).isEmpty();
        }
    }
}

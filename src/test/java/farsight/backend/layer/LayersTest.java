package farsight.backend.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BackendContract;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.backend.file.FileProvider;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every layer promises what every storage does, and does what it is for. */
class LayersTest {
    @TempDir
    Path directory;

    /** A file of zeroes, below layers. */
    static AsyncBlockDevice file(Path path, long size) throws IOException {
        Settings settings = new Settings(Map.of("path", path.toString(), "create", true, "size", size));
        return (AsyncBlockDevice) new FileProvider().configure(Settings.NONE).open(settings);
    }

    static Device over(AsyncBlockDevice below, String layer, Map<String, Object> settings) throws IOException {
        return Layer.ALL.get(layer).maker().over(below, new Settings(settings));
    }

    abstract static class Contract extends BackendContract {
        @TempDir
        Path directory;

        Device open(String layer, Map<String, Object> settings) throws IOException {
            return over(file(directory.resolve("base"), SIZE), layer, settings);
        }
    }

    @Nested
    class DelayContractTest extends Contract {
        @Override
        protected Device open() throws IOException {
            return open("delay", Map.of("write", Duration.ofNanos(200_000), "read", Duration.ofNanos(100_000)));
        }
    }

    @Nested
    class RateContractTest extends Contract {
        @Override
        protected Device open() throws IOException {
            return open("rate", Map.of("iops", 100_000L, "bytes", 1L << 30));
        }
    }

    @Nested
    class ErrorContractTest extends Contract {
        @Override
        protected Device open() throws IOException {
            return open("error", Map.of("file", directory.resolve("trigger").toString()));
        }
    }

    @Nested
    class CacheContractTest extends Contract {
        @Override
        protected Device open() throws IOException {
            return open("cache", Map.of("size", 1L << 20, "block", 32768L));
        }
    }

    @Nested
    class OverlayContractTest extends Contract {
        @Override
        protected Device open() throws IOException {
            return open("overlay", Map.of("path", directory.resolve("cow").toString()));
        }
    }

    @Nested
    class PartitionContractTest extends Contract {
        @Override
        protected Device open() throws IOException {
            AsyncBlockDevice base = file(directory.resolve("base"), SIZE + 12345);
            return over(base, "partition", Map.of("offset", 1234L, "size", SIZE));
        }
    }

    @Nested
    class ReadOnlyContractTest extends Contract {
        private AsyncBlockDevice base;

        @Override
        protected Device open() throws IOException {
            base = file(directory.resolve("base"), SIZE);
            return over(base, "read_only", Map.of());
        }

        @Override
        protected AsyncBlockDevice behind() {
            return base;
        }
    }

    // ---- what each is for ----------------------------------------------------------------------------------------

    private static int read(AsyncBlockDevice device, MemorySegment target, long offset) {
        try {
            new Synchronous(device).read(target, offset);
            return 0;
        } catch (farsight.backend.DeviceException e) {
            return e.errno();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void requestsFailWhileTheTriggerExists() throws IOException {
        Path trigger = directory.resolve("trigger");
        Map<String, Object> settings =
                Map.of("file", trigger.toString(), "errno", "ENOSPC", "commands", List.of("read"));
        try (Device device = over(file(directory.resolve("base"), 4096), "error", settings);
                Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(512);
            assertThat(read((AsyncBlockDevice) device, memory, 0)).isZero();
            Files.createFile(trigger);
            assertThat(read((AsyncBlockDevice) device, memory, 0)).isEqualTo(28);
            new Synchronous((AsyncBlockDevice) device).write(memory, 0);
            Files.delete(trigger);
            assertThat(read((AsyncBlockDevice) device, memory, 0)).isZero();
        }
    }

    @Test
    void aRateIsKept() throws IOException {
        try (Device device = over(file(directory.resolve("base"), 4096), "rate", Map.of("iops", 200L));
                Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(512);
            long start = System.nanoTime();
            for (int i = 0; i < 120; i++) {
                read((AsyncBlockDevice) device, memory, 0);
            }
            // A tenth of a second's worth is free.
            assertThat(System.nanoTime() - start).isGreaterThan(490_000_000);
        }
    }

    @Test
    void aDelayIsKept() throws IOException {
        try (Device device =
                        over(file(directory.resolve("base"), 4096), "delay", Map.of("all", Duration.ofMillis(30)));
                Arena arena = Arena.ofConfined()) {
            long start = System.nanoTime();
            read((AsyncBlockDevice) device, arena.allocate(512), 0);
            assertThat(System.nanoTime() - start).isGreaterThan(29_000_000);
        }
    }

    @Test
    void aPartitionIsFoundByItsNumber() throws IOException {
        Path path = directory.resolve("disk");
        try (RandomAccessFile disk = new RandomAccessFile(path.toFile(), "rw")) {
            disk.setLength(1 << 20);
            ByteBuffer table = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
            table.put(446 + 16 + 4, (byte) 0x83).putInt(446 + 16 + 8, 100).putInt(446 + 16 + 12, 200);
            table.put(446 + 32 + 4, (byte) 5).putInt(446 + 32 + 8, 400).putInt(446 + 32 + 12, 500);
            disk.write(table.putShort(510, (short) 0xaa55).array());
            ByteBuffer logical = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
            logical.put(446 + 4, (byte) 0x83).putInt(446 + 8, 10).putInt(446 + 12, 20);
            disk.seek(400 * 512);
            disk.write(logical.putShort(510, (short) 0xaa55).array());
            disk.seek(100 * 512);
            disk.write('x');
        }
        try (Device second = over(file(path, 1 << 20), "partition", Map.of("number", 2L));
                Arena arena = Arena.ofConfined()) {
            assertThat(second.size()).isEqualTo(200 * 512);
            MemorySegment memory = arena.allocate(1);
            read((AsyncBlockDevice) second, memory, 0);
            assertThat(memory.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 'x');
        }
        try (Device fifth = over(file(path, 1 << 20), "partition", Map.of("number", 5L))) {
            assertThat(fifth.size()).isEqualTo(20 * 512);
        }
        try (AsyncBlockDevice disk = file(path, 1 << 20)) {
            assertThatThrownBy(() -> over(disk, "partition", Map.of("number", 1L)))
                    .hasMessage("layer partition: the MBR has no partition 1");
        }
    }

    @Test
    void whatIsInTheCacheIsNotReadAgain() throws IOException {
        Path path = directory.resolve("base");
        try (Device device = over(file(path, 1 << 20), "cache", Map.of());
                Arena arena = Arena.ofConfined();
                RandomAccessFile behind = new RandomAccessFile(path.toFile(), "rw")) {
            CacheLayer cache = (CacheLayer) device;
            MemorySegment memory = arena.allocate(1);
            cache.read(memory, 5);
            behind.seek(5);
            behind.write('x');
            cache.read(memory, 5);
            assertThat(memory.get(ValueLayout.JAVA_BYTE, 0)).isZero();
            cache.trim(0, 65536);
            behind.seek(5);
            behind.write('x');
            cache.read(memory, 5);
            assertThat(memory.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 'x');
        }
    }
}

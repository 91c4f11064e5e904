package farsight.backend;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/** The least that a person has to write keeps the contract. */
class SimpleDeviceTest extends BackendContract {
    private static final class RamDisk implements BlockDevice {
        private final byte[] bytes = new byte[(int) SIZE];

        @Override
        public long size() {
            return bytes.length;
        }

        @Override
        public void read(MemorySegment target, long offset) {
            target.copyFrom(MemorySegment.ofArray(bytes).asSlice(offset, target.byteSize()));
        }

        @Override
        public void write(MemorySegment source, long offset) {
            MemorySegment.ofArray(bytes).asSlice(offset, source.byteSize()).copyFrom(source);
        }
    }

    @Override
    protected Device open() {
        return new RamDisk();
    }

    @Test
    void whatIsNotOverriddenIsNotAdvertised() {
        assertThat(new RamDisk().features()).isEmpty();
    }

    @Test
    void whatIsOverriddenIsAdvertised() {
        BlockDevice device = new BlockDevice() {
            @Override
            public long size() {
                return 0;
            }

            @Override
            public void read(MemorySegment target, long offset) {}

            @Override
            public void write(MemorySegment source, long offset) {}

            @Override
            public void flush() {}

            @Override
            public void trim(long offset, long length) {}
        };
        assertThat(device.features()).containsExactlyInAnyOrder(Feature.FLUSH, Feature.TRIM);
    }
}

package ramdisk;

import farsight.backend.BlockDevice;
import java.lang.foreign.MemorySegment;

/** A disk in the server's memory. */
record RamDisk(byte[] bytes) implements BlockDevice {
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

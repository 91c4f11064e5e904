package farsight.backend.memory;

import farsight.backend.Backend;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Settings;
import farsight.config.Sizes;
import java.io.IOException;

/** The memory exports of one server, which share a limit. */
final class MemoryBackend implements Backend {
    /** Half of what a process can address: room for everything else. */
    private static final long LARGEST = 1L << 46;

    private final long limit;
    private long used;

    MemoryBackend(long limit) {
        this.limit = limit;
    }

    @Override
    public synchronized Device open(Settings export) throws IOException {
        long size = export.number("size").orElseThrow();
        if (size < 1 || size > LARGEST) {
            throw new DeviceException(
                    Errno.EINVAL, "a memory export of " + size + " bytes; it must have 1 byte to 64TiB");
        }
        if (size > limit - used) {
            throw new DeviceException(
                    Errno.EPERM,
                    "a memory export of " + Sizes.format(size) + " does not fit: " + Sizes.format(used) + " of "
                            + Sizes.format(limit) + " are in use; raise [memory] limit");
        }
        MemoryDevice device = new MemoryDevice(size, this::closed);
        used += size;
        return device;
    }

    private synchronized void closed(long size) {
        used -= size;
    }
}

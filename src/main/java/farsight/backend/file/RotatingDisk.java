package farsight.backend.file;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Whether a block device is a rotating disk, by what the kernel says of its queue. */
final class RotatingDisk {
    private RotatingDisk() {}

    /** @param device its number (dev_t), or that of a partition; false for what has no queue, such as tmpfs */
    static boolean is(long device) {
        // As glibc's sys/sysmacros.h takes a dev_t apart.
        long major = device >>> 8 & 0xfff | device >>> 32 & 0xfffff000L;
        long minor = device & 0xff | device >>> 12 & 0xffffff00L;
        Path entry = Path.of("/sys/dev/block/" + major + ":" + minor);
        // A partition has no queue of its own; its directory is within that of its disk.
        return is(entry.resolve("queue/rotational")) || is(entry.resolve("../queue/rotational"));
    }

    private static boolean is(Path attribute) {
        try {
            return Files.readString(attribute).strip().equals("1");
        } catch (IOException e) {
            return false;
        }
    }
}

package farsight.device;

import farsight.sys.ErrnoException;
import farsight.sys.NbdDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** A device's path and what the kernel shows of it in sysfs. */
record DeviceFile(Path path) {

    /** The directory of the device in sysfs. */
    private Path sysfs() {
        return Path.of("/sys/block").resolve(path.getFileName().toString());
    }

    /** The process that has the device attached, if there is one. */
    Optional<String> owner() {
        try {
            return Optional.of(Files.readString(sysfs().resolve("pid")).strip());
        } catch (IOException e) {
            return Optional.empty(); // the file is only there while the device is attached
        }
    }

    /**
     * Opens the device for attaching.
     *
     * @throws IOException one line with the remedy: no driver, no such device, no permission, in use
     */
    NbdDevice open() throws IOException {
        if (!Files.exists(path)) {
            throw new IOException(
                    Files.isDirectory(Path.of("/sys/module/nbd"))
                            ? path + ": no such device; the nbd driver has /dev/nbd0 up to its parameter nbds_max"
                            : path
                                    + ": no such device; the kernel's nbd driver is not loaded: run 'modprobe nbd' as"
                                    + " root");
        }
        if (owner().isPresent()) {
            throw inUse();
        }
        try {
            NbdDevice device = NbdDevice.open(path.toString());
            if (!device.isBlockDevice() || !Files.isDirectory(sysfs())) {
                device.close();
                throw new IOException(path + ": is not a block device of the nbd driver; use /dev/nbd0 or the like");
            }
            return device;
        } catch (ErrnoException e) {
            throw refused(e);
        }
    }

    /** A failure of the kernel as a person needs it. */
    IOException refused(ErrnoException e) {
        if (e.errno() == NbdDevice.EBUSY) {
            return inUse();
        }
        if (e.errno() == NbdDevice.EPERM || e.errno() == NbdDevice.EACCES) {
            return new IOException(
                    path + ": " + ErrnoException.describe(e.errno()) + "; run as root (CAP_SYS_ADMIN)", e);
        }
        return new IOException(path + ": " + e.getMessage() + "; see 'dmesg'", e);
    }

    private IOException inUse() {
        String by = owner().map(pid -> " by process " + pid).orElse("");
        return new IOException(path + ": is in use" + by + "; choose another device or detach it first");
    }
}

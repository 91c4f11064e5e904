package farsight.device;

import farsight.sys.ErrnoException;
import farsight.sys.NbdDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A device's path and what the kernel shows of it in sysfs. */
public record DeviceFile(Path path) {
    private static final Path SYSFS = Path.of("/sys/block");
    private static final Pattern NAME = Pattern.compile("nbd(\\d{1,7})");
    private static final int SECTOR = 512;

    /** The device of the driver with that number. */
    public static DeviceFile numbered(int index) {
        return new DeviceFile(Path.of("/dev/nbd" + index));
    }

    /** All devices of the driver, in the order of their numbers. */
    public static List<DeviceFile> all() throws IOException {
        List<Integer> numbers = new ArrayList<>();
        try (Stream<Path> devices = Files.list(SYSFS)) {
            devices.forEach(device -> {
                Matcher name = NAME.matcher(device.getFileName().toString());
                if (name.matches()) {
                    numbers.add(Integer.valueOf(name.group(1)));
                }
            });
        }
        return numbers.stream().sorted().map(DeviceFile::numbered).toList();
    }

    /** All devices of the driver and then one that the driver would have to make. */
    static List<DeviceFile> allAndOneMore() throws IOException {
        List<DeviceFile> all = new ArrayList<>(all());
        all.add(numbered(all.isEmpty() ? 0 : all.getLast().number() + 1));
        return all;
    }

    /** The number in the name of a device of the driver, be it there or not. */
    int number() {
        return Integer.parseInt(name().substring("nbd".length()));
    }

    /** Such as nbd0. */
    public String name() {
        return path.getFileName().toString();
    }

    /** The directory of the device in sysfs. */
    public Path sysfs() {
        return SYSFS.resolve(name());
    }

    private Optional<String> shown(String file) {
        try {
            return Optional.of(Files.readString(sysfs().resolve(file)).strip());
        } catch (IOException e) {
            return Optional.empty(); // there only while the device is attached, or on newer kernels
        }
    }

    /** The process that attached the device, if it is attached. */
    public Optional<String> owner() {
        return shown("pid");
    }

    /** What is behind the device, as its client named it; empty when it did not, or before Linux 5.14. */
    public Optional<String> backend() {
        return shown("backend").filter(text -> !text.isEmpty());
    }

    /** Whether nothing of an attachment is left. The kernel takes away what it shows piece by piece. */
    boolean isFree() {
        return owner().isEmpty() && backend().isEmpty();
    }

    /** Bytes. */
    public long size() {
        return shown("size").map(sectors -> Long.parseLong(sectors) * SECTOR).orElse(0L);
    }

    boolean readOnly() {
        return shown("ro").filter("1"::equals).isPresent();
    }

    int blockSize() {
        return shown("queue/logical_block_size").map(Integer::valueOf).orElse(SECTOR);
    }

    /** The driver has a queue for each connection, but not more than there are processors. */
    int queues() {
        try (Stream<Path> queues = Files.list(sysfs().resolve("mq"))) {
            return Math.max(1, (int) queues.count());
        } catch (IOException e) {
            return 1;
        }
    }

    /**
     * Sets what the configuration says of the device's queue.
     *
     * @throws IOException one line, when the kernel does not take something
     */
    void queue(Map<String, String> settings) throws IOException {
        for (Map.Entry<String, String> setting : settings.entrySet()) {
            Path target = sysfs().resolve("queue").resolve(setting.getKey());
            if (!Files.exists(target)) {
                throw new IOException(target + ": this kernel has no such setting; remove it from queue in [nbd]");
            }
            try {
                Files.writeString(target, setting.getValue(), StandardOpenOption.WRITE);
            } catch (IOException e) {
                throw new IOException(
                        target + ": the kernel does not take \"" + setting.getValue() + "\" (" + e.getMessage()
                                + "); change it in queue of [nbd]",
                        e);
            }
        }
    }

    /** After which the kernel looks whether a request has to be sent again. Without effect before Linux 5.0. */
    void lookAfter(long millis) {
        try {
            Files.writeString(sysfs().resolve("queue/io_timeout"), Long.toString(millis));
        } catch (IOException e) {
            // The kernel's own time stays, which is 30 s: requests wait longer after a reconnection, no more.
        }
    }

    /**
     * The device's number.
     *
     * @throws IOException one line with the remedy: no driver, no such device, no device of this driver
     */
    int index() throws IOException {
        if (!Files.exists(path)) {
            throw new IOException(
                    Files.isDirectory(Path.of("/sys/module/nbd"))
                            ? path + ": no such device; the nbd driver has /dev/nbd0 up to its parameter nbds_max"
                            : path
                                    + ": no such device; the kernel's nbd driver is not loaded: run 'modprobe nbd' as"
                                    + " root");
        }
        Matcher name = NAME.matcher(name());
        if (!name.matches() || !Files.isDirectory(sysfs())) {
            throw notOurs();
        }
        return Integer.parseInt(name.group(1));
    }

    private IOException notOurs() {
        return new IOException(path + ": is not a block device of the nbd driver; use /dev/nbd0 or the like");
    }

    /**
     * Opens the device for attaching.
     *
     * @throws IOException one line with the remedy: no driver, no such device, no permission, in use
     */
    NbdDevice open() throws IOException {
        index();
        if (owner().isPresent()) {
            throw inUse();
        }
        try {
            NbdDevice device = NbdDevice.open(path.toString());
            if (!device.isBlockDevice()) {
                device.close();
                throw notOurs();
            }
            return device;
        } catch (ErrnoException e) {
            throw refused(e, e.errno());
        }
    }

    /** A failure of the kernel as a person needs it. */
    IOException refused(IOException e, int errno) {
        if (errno == NbdDevice.EBUSY) {
            return inUse();
        }
        if (errno == NbdDevice.EPERM || errno == NbdDevice.EACCES) {
            return new IOException(path + ": " + ErrnoException.describe(errno) + "; run as root (CAP_SYS_ADMIN)", e);
        }
        return new IOException(path + ": " + e.getMessage() + "; see 'dmesg'", e);
    }

    IOException inUse() {
        String by = RunDirectory.SYSTEM
                .state(name())
                .filter(DeviceState::attended)
                .map(state -> Long.toString(state.pid()))
                .or(this::owner)
                .map(pid -> " by process " + pid)
                .orElse("");
        String of = backend().map(what -> ", for " + what).orElse("");
        return new IOException(path + ": is in use" + by + of + "; choose another device or detach it first");
    }
}

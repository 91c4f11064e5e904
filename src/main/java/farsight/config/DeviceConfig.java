package farsight.config;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * How an export becomes a block device: the client's section {@code [nbd]}.
 *
 * @param file path of the block device, such as /dev/nbd0; null for any that is free
 * @param attach by which interface of the kernel
 * @param blockSize bytes of a block as the kernel shall see it: 512, 1024, 2048 or 4096; 0 for what the server needs
 * @param connections how many sockets the kernel gets; more than one needs a server that allows it; 0 chooses
 * @param timeout after which the kernel gives a request up, or sends it again when it can; zero for never
 * @param deadTimeout how long requests wait while there is no connection, until they fail; zero for ever
 * @param reconnect how long a server that is gone is waited for, until the device is given up; zero for ever
 * @param readOnly whether the device refuses writes even when the export takes them
 * @param swap whether the device may be swapped to: this process is then kept in memory, and alive when memory is short
 * @param resizePoll how often the server is asked for the export's size; zero for never, which also lets an export
 *     that has grown count as another one
 * @param queue what is written to the files of the device's {@code queue} in sysfs, by their names
 */
public record DeviceConfig(
        String file,
        Attach attach,
        int blockSize,
        int connections,
        Duration timeout,
        Duration deadTimeout,
        Duration reconnect,
        boolean readOnly,
        boolean swap,
        Duration resizePoll,
        Map<String, String> queue) {

    /** With the queue as the kernel makes it. */
    public DeviceConfig(
            String file,
            Attach attach,
            int blockSize,
            int connections,
            Duration timeout,
            Duration deadTimeout,
            Duration reconnect,
            boolean readOnly,
            boolean swap,
            Duration resizePoll) {
        this(
                file,
                attach,
                blockSize,
                connections,
                timeout,
                deadTimeout,
                reconnect,
                readOnly,
                swap,
                resizePoll,
                Map.of());
    }

    /** The interface of the kernel. */
    public enum Attach {
        /** Netlink, or else ioctl. */
        AUTO,
        /** Generic netlink: survives the death of the server and of this process. */
        NETLINK,
        /** The older ioctl calls: the device ends with the connection, or with this process. */
        IOCTL
    }

    private static final Duration RECONNECT = Duration.ofMinutes(5);

    /** Any free device, with what is best for most. */
    public static final DeviceConfig DEFAULT = new DeviceConfig(
            null, Attach.AUTO, 0, 0, Duration.ZERO, RECONNECT, RECONNECT, false, false, Duration.ofSeconds(30));

    /** The path of the device that was asked for. */
    public Optional<String> chosen() {
        return Optional.ofNullable(file);
    }

    /** The same on another device; null for any that is free. */
    public DeviceConfig withFile(String path) {
        return new DeviceConfig(
                path,
                attach,
                blockSize,
                connections,
                timeout,
                deadTimeout,
                reconnect,
                readOnly,
                swap,
                resizePoll,
                queue);
    }
}

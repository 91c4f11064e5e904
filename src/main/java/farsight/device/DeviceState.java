package farsight.device;

import farsight.config.NbdUri;
import java.util.Properties;

/**
 * What is known of an attached device beside the kernel, for {@code farsight status} and for the client that takes the
 * device over.
 *
 * @param device name, such as nbd0
 * @param uri where the export is
 * @param attach {@code netlink} or {@code ioctl}
 * @param export name as the server gives it
 * @param size bytes
 * @param flags NBD_FLAG_* as the kernel was given them
 * @param connections that the device was made with
 * @param alive connections of them that are known to live
 * @param reconnects how often connections were replaced
 * @param owner what the kernel shows as the process that made the device; empty until it is there
 * @param pid the process that looks after the device
 */
public record DeviceState(
        String device,
        String uri,
        String attach,
        String export,
        long size,
        int flags,
        int connections,
        int alive,
        long reconnects,
        String owner,
        long pid) {

    /** Whether the process that looks after the device is there. */
    public boolean attended() {
        return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
    }

    /** Of a device that this process is about to make, so that nobody sees the device and knows nothing of it. */
    static DeviceState beforehand(DeviceFile file, String uri, String attach, Links links, int flags) {
        int connections = links.lines().size();
        return new DeviceState(
                file.name(),
                uri,
                attach,
                links.export().export(),
                links.size(),
                flags,
                connections,
                connections,
                0,
                "",
                ProcessHandle.current().pid());
    }

    /** Of a netlink device that this process has found. */
    static DeviceState found(DeviceFile file, String uri, String export, int flags, int connections) {
        return new DeviceState(
                file.name(),
                uri,
                "netlink",
                export,
                file.size(),
                flags,
                connections,
                0,
                0,
                file.owner().orElse(""),
                ProcessHandle.current().pid());
    }

    /** The device is there, as the kernel shows. */
    DeviceState madeBy(String shown) {
        return new DeviceState(device, uri, attach, export, size, flags, connections, alive, reconnects, shown, pid);
    }

    /** Whether it is about the attachment that the kernel shows as made by somebody, and not about an earlier one. */
    boolean isAbout(String madeBy) {
        return owner.equals(madeBy) || owner.isEmpty() && attended();
    }

    /** Whether it is this export on a device that the kernel shows as made by {@code madeBy}. */
    boolean isOf(NbdUri server, String madeBy) {
        return attach.equals("netlink") && uri.equals(server.toString()) && owner.equals(madeBy);
    }

    /** The same, looked after by this process, which knows of no connection yet. */
    DeviceState takenOver(long sizeNow) {
        return new DeviceState(
                device,
                uri,
                attach,
                export,
                sizeNow,
                flags,
                connections,
                0,
                reconnects,
                owner,
                ProcessHandle.current().pid());
    }

    DeviceState with(long newSize, int newAlive, long newReconnects) {
        return new DeviceState(
                device, uri, attach, export, newSize, flags, connections, newAlive, newReconnects, owner, pid);
    }

    Properties properties() {
        Properties all = new Properties();
        all.setProperty("device", device);
        all.setProperty("uri", uri);
        all.setProperty("attach", attach);
        all.setProperty("export", export);
        all.setProperty("size", Long.toString(size));
        all.setProperty("flags", Integer.toString(flags));
        all.setProperty("connections", Integer.toString(connections));
        all.setProperty("alive", Integer.toString(alive));
        all.setProperty("reconnects", Long.toString(reconnects));
        all.setProperty("owner", owner);
        all.setProperty("pid", Long.toString(pid));
        return all;
    }

    /** @throws IllegalArgumentException when something is missing or no number */
    static DeviceState of(Properties all) {
        return new DeviceState(
                text(all, "device"),
                text(all, "uri"),
                text(all, "attach"),
                text(all, "export"),
                Long.parseLong(text(all, "size")),
                Integer.parseInt(text(all, "flags")),
                Integer.parseInt(text(all, "connections")),
                Integer.parseInt(text(all, "alive")),
                Long.parseLong(text(all, "reconnects")),
                text(all, "owner"),
                Long.parseLong(text(all, "pid")));
    }

    private static String text(Properties all, String key) {
        String value = all.getProperty(key);
        if (value == null) {
            throw new IllegalArgumentException("no " + key);
        }
        return value;
    }
}

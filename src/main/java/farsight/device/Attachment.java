package farsight.device;

import farsight.client.Negotiated;
import farsight.config.ClientConfig;
import farsight.config.DeviceConfig.Attach;
import farsight.sys.NbdNetlink;
import java.io.IOException;
import java.nio.file.Path;
import java.util.logging.Level;
import java.util.logging.Logger;

/** An export attached to a block device of the kernel. Any thread. */
public sealed interface Attachment extends AutoCloseable permits NetlinkAttachment, IoctlAttachment {
    /**
     * Attaches, or takes over a device that is attached to the same export already and whose process is gone; returns
     * when the device can be used.
     *
     * @throws IOException one line with the remedy; nothing is left behind
     */
    static Attachment attach(ClientConfig config) throws IOException {
        if (config.device().swap()) {
            SwapSafety.establish();
        }
        if (config.device().attach() == Attach.IOCTL) {
            return IoctlAttachment.attach(config);
        }
        NbdNetlink netlink;
        try {
            netlink = NbdNetlink.open();
        } catch (IOException e) {
            if (config.device().attach() == Attach.AUTO
                    && config.device().chosen().isPresent()) {
                Logger.getLogger("farsight.device")
                        .log(Level.INFO, "attaching by ioctl, without reconnection: {0}", e.getMessage());
                return IoctlAttachment.attach(config);
            }
            throw new IOException(
                    "the kernel's nbd driver does not answer (" + e.getMessage()
                            + "); run 'modprobe nbd' as root, or set attach = \"ioctl\" for a kernel before 4.12",
                    e);
        }
        return NetlinkAttachment.attach(config, netlink);
    }

    /** The device's path. */
    Path device();

    /** What the server said of the export. */
    Negotiated export();

    /** Whether the device was there already and has been taken over. */
    boolean adopted();

    /**
     * Waits until the device is detached.
     *
     * @throws IOException when it was not by {@link #close}: the connection is lost
     */
    void awaitDetached() throws IOException;

    /** Writes out what the kernel still holds, says goodbye to the server and frees the device. */
    @Override
    void close() throws IOException;
}

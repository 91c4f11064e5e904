package farsight.cli;

import farsight.config.ClientConfig;
import farsight.config.Sizes;
import farsight.device.Attachment;
import farsight.device.Detachment;
import farsight.device.Driver;
import java.io.IOException;

/** One device, attached by a command. */
final class AttachedDevice {
    private AttachedDevice() {}

    /** Attaches, and looks after the device until a signal ends it or somebody detaches it. */
    static void watch(ClientConfig config) throws IOException {
        Service service = Service.ofThisProcess();
        Attached device = new Attached();
        // First of all: a signal that comes while the device is attached detaches it as well.
        Stop.onSignal(() -> {
            service.stopping();
            device.close();
        });
        Attachment attachment = device.attach(config);
        String attached = say(config, attachment);
        service.ready(attached, () -> true);
        try {
            attachment.awaitDetached();
        } catch (IOException e) {
            if (!Detachment.wasAsked(attachment.device())) {
                throw e;
            }
            System.out.println("farsight: " + attachment.device() + " was detached by 'farsight detach'");
        }
    }

    /** The device of a command, be it attached already or not yet. */
    private static final class Attached {
        /** How long a signal waits for an attachment that is under way; connecting has limits of its own. */
        private static final long PATIENCE_NANOS = 30_000_000_000L;

        private Attachment attachment;
        private boolean underWay;

        Attachment attach(ClientConfig config) throws IOException {
            synchronized (this) {
                underWay = true;
            }
            Attachment attached = null;
            try {
                attached = AttachedDevice.attach(config);
                return attached;
            } finally {
                synchronized (this) {
                    attachment = attached;
                    underWay = false;
                    notifyAll();
                }
            }
        }

        synchronized void close() throws IOException, InterruptedException {
            long deadline = System.nanoTime() + PATIENCE_NANOS;
            for (long left = PATIENCE_NANOS; underWay && left > 0; left = deadline - System.nanoTime()) {
                wait(Math.max(1, left / 1_000_000));
            }
            if (attachment != null) {
                attachment.close();
            }
        }
    }

    /** Attaches, and leaves the device to the kernel. */
    static void leave(ClientConfig config) throws IOException {
        say(config, attach(config));
    }

    private static Attachment attach(ClientConfig config) throws IOException {
        Driver.load(config.device().chosen().orElse(""));
        return Attachment.attach(config);
    }

    private static String say(ClientConfig config, Attachment attachment) {
        String attached = (attachment.adopted() ? "took over " + attachment.device() + " with " : "attached ")
                + config.server()
                + (attachment.adopted() ? "" : " to " + attachment.device()) + " ("
                + Sizes.format(attachment.export().size())
                + (attachment.export().readOnly() ? ", read-only)" : ")");
        System.out.println("farsight: " + attached);
        System.out.flush();
        return attached;
    }
}

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
        Attachment attachment = attach(config);
        Stop.onSignal(() -> {
            service.stopping();
            attachment.close();
        });
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

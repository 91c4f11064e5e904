package farsight.cli;

import farsight.config.ClientConfig;
import farsight.config.Sizes;
import farsight.device.Attachment;
import farsight.device.Driver;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code farsight client}. */
@Command(
        name = "client",
        mixinStandardHelpOptions = true,
        description = "Attach an export to a block device of the kernel until a signal ends it.")
final class ClientCommand implements Callable<Integer> {
    @Parameters(paramLabel = "CONFIG", description = "The client's TOML file.")
    private Path file;

    @Override
    public Integer call() throws Exception {
        ClientConfig config = ClientConfig.load(file, Providers.installed());
        Service service = Service.ofThisProcess();
        Driver.load(config.device().chosen().orElse(""));
        Attachment attachment = Attachment.attach(config);
        Stop.onSignal(() -> {
            service.stopping();
            attachment.close();
        });
        String attached = (attachment.adopted() ? "took over " + attachment.device() + " with " : "attached ")
                + config.server()
                + (attachment.adopted() ? "" : " to " + attachment.device()) + " ("
                + Sizes.format(attachment.export().size())
                + (attachment.export().readOnly() ? ", read-only)" : ")");
        System.out.println("farsight: " + attached);
        System.out.flush();
        service.ready(attached, () -> true);
        attachment.awaitDetached();
        return 0;
    }
}

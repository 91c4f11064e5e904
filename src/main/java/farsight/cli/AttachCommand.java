package farsight.cli;

import farsight.config.ClientConfig;
import farsight.config.DeviceConfig;
import farsight.config.DeviceConfig.Attach;
import farsight.config.NbdUri;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code farsight attach}: what {@code farsight client} does, without a file. */
@Command(
        name = "attach",
        mixinStandardHelpOptions = true,
        description = "Attach an export to a block device of the kernel until a signal ends it.",
        footer = {"", "  farsight attach nbd://server/disk", "  farsight attach nbd://server/disk /dev/nbd3 --no-watch"
        })
final class AttachCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(
            index = "0",
            paramLabel = "URI",
            converter = Words.Uri.class,
            description =
                    "nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH; nbds:// and nbds+unix:// for TLS")
    private NbdUri uri;

    @Parameters(
            index = "1",
            arity = "0..1",
            paramLabel = "DEVICE",
            description = "Such as /dev/nbd0; default: a free one.")
    private Path device;

    @Option(names = "--read-only", description = "Refuse writes.")
    private boolean readOnly;

    @Option(
            names = "--no-watch",
            description = "Return when the device is there. Nobody then makes new connections when the server is gone,"
                    + " until 'farsight attach' or 'farsight client' for the same export takes the device over.")
    private boolean noWatch;

    @Override
    public Integer call() throws Exception {
        if (device != null && !device.isAbsolute()) {
            throw new ParameterException(
                    spec.commandLine(), "'" + device + "' is not the path of a device; write it like /dev/nbd0");
        }
        if (noWatch && uri.tls() != null) {
            throw new ParameterException(
                    spec.commandLine(),
                    "--no-watch does not go with TLS, which is spoken by this program and not by the kernel");
        }
        DeviceConfig preset = DeviceConfig.DEFAULT;
        DeviceConfig how = new DeviceConfig(
                device == null ? null : device.toString(),
                noWatch ? Attach.NETLINK : preset.attach(),
                preset.blockSize(),
                preset.connections(),
                preset.timeout(),
                preset.deadTimeout(),
                preset.reconnect(),
                readOnly,
                preset.swap(),
                preset.resizePoll());
        ClientConfig config = new ClientConfig(how, uri);
        if (noWatch) {
            AttachedDevice.leave(config);
        } else {
            AttachedDevice.watch(config);
        }
        return 0;
    }
}

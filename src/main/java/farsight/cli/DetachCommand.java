package farsight.cli;

import farsight.device.Detachment;
import farsight.device.DeviceFile;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code farsight detach}. */
@Command(
        name = "detach",
        mixinStandardHelpOptions = true,
        description = "Write out what a device still has to be written, and free it. Its client ends, or, if it serves"
                + " a directory, lets go of the device until its file is changed.")
final class DetachCommand implements Callable<Integer> {
    @Parameters(paramLabel = "DEVICE|URI", description = "Such as /dev/nbd0, nbd0 or nbd://server/disk")
    private String word;

    @Option(
            names = "--force",
            description = "Even while it is mounted or open, which fails the I/O of those who use it, and when the"
                    + " server does not take what has to be written.")
    private boolean force;

    @Override
    public Integer call() throws IOException {
        DeviceFile device = Detachment.device(word);
        Detachment.detach(device, force);
        System.out.println("farsight: detached " + device.path());
        return 0;
    }
}

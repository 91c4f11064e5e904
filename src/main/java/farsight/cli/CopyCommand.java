package farsight.cli;

import farsight.client.Copy;
import farsight.config.Sizes;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code farsight copy}. */
@Command(
        name = "copy",
        mixinStandardHelpOptions = true,
        description = "Copy a file or export to a file or export.",
        footer = {"", "  farsight copy disk.img nbd://server/disk", "  farsight copy nbd://server/disk disk.img"})
final class CopyCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "FROM", description = "A path, or an nbd URI.")
    private String from;

    @Parameters(index = "1", paramLabel = "TO", description = "A path, or an nbd URI.")
    private String to;

    @Override
    public Integer call() throws IOException {
        long start = System.nanoTime();
        long bytes = Copy.copy(from, to);
        double seconds = Math.max(1e-9, (System.nanoTime() - start) / 1e9);
        System.out.printf(
                "farsight: copied %s in %.1f s (%.0f MB/s)%n", Sizes.format(bytes), seconds, bytes / 1e6 / seconds);
        return 0;
    }
}

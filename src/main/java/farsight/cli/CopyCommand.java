package farsight.cli;

import farsight.client.Copy;
import farsight.client.CopyOptions;
import farsight.config.Sizes;
import farsight.sys.QuickCalls;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code farsight copy}. */
@Command(
        name = "copy",
        mixinStandardHelpOptions = true,
        description = {
            "Copy a file or export to a file or export.",
            "Holes and zeroes are not read, and become holes or zeroes again. A regular file that is the target is"
                    + " replaced. When it is done the data is stable."
        },
        footer = {"", "  farsight copy disk.img nbd://server/disk", "  farsight copy nbd://server/disk disk.img"})
final class CopyCommand implements Callable<Integer> {
    private static final int STDERR = 2;

    @Parameters(index = "0", paramLabel = "FROM", description = "A path, or an nbd URI.")
    private String from;

    @Parameters(index = "1", paramLabel = "TO", description = "A path, or an nbd URI.")
    private String to;

    @Option(
            names = "--connections",
            paramLabel = "N",
            description = "To each server that allows several (default: one per processor, 2 to 4).")
    private int connections = CopyOptions.DEFAULT.connections();

    @Option(names = "--requests", paramLabel = "N", description = "In flight on each connection (default: 32).")
    private int requests = CopyOptions.DEFAULT.requests();

    @Option(
            names = "--request-size",
            paramLabel = "SIZE",
            converter = Words.Size.class,
            description = "Of one read or write (default: 512KiB from a server to a file, else 1MiB).")
    private long requestSize = CopyOptions.DEFAULT.requestSize();

    @Option(
            names = "--timeout",
            paramLabel = "SECONDS",
            description = {"How long a server may be silent (default: 120; 0: for ever)."})
    private long timeout = CopyOptions.DEFAULT.timeout().toSeconds();

    @Option(names = "--verify", description = "Read both sides again and compare them.")
    private boolean verify;

    @Option(names = "--quiet", description = "No progress bar and no summary.")
    private boolean quiet;

    @Override
    public Integer call() throws IOException {
        if (timeout < 0) {
            throw new IllegalArgumentException("--timeout must be 0 or more, not " + timeout);
        }
        int size = (int) Math.min(requestSize, Integer.MAX_VALUE);
        return run(from, to, new CopyOptions(connections, requests, size, verify, Duration.ofSeconds(timeout)), quiet);
    }

    /** Whether a progress bar can be drawn. Whatever is no device is none, which is found without native calls. */
    private static boolean isTerminal() {
        try {
            String device =
                    Files.readSymbolicLink(Path.of("/proc/self/fd/" + STDERR)).toString();
            return device.startsWith("/dev/pts/")
                    || device.startsWith("/dev/") && !device.equals("/dev/null") && QuickCalls.isTerminal(STDERR);
        } catch (IOException e) {
            return QuickCalls.isTerminal(STDERR);
        }
    }

    /** Copies, says so unless it is to be quiet, and returns the exit status. */
    static int run(String from, String to, CopyOptions options, boolean quiet) throws IOException {
        long start = System.nanoTime();
        Copy copy = new Copy(from, to, options);
        ProgressBar bar = quiet || !isTerminal() ? null : ProgressBar.start(copy, options.verify());
        long bytes;
        try {
            bytes = copy.run();
        } finally {
            if (bar != null) {
                bar.end();
            }
        }
        if (!quiet) {
            System.out.println(summary(bytes, System.nanoTime() - start, options.verify()));
        }
        return 0;
    }

    /** Without a formatter, which takes longer to load than small copies take. */
    private static String summary(long bytes, long nanos, boolean verified) {
        long tenths = nanos / 100_000_000;
        return new StringBuilder("farsight: copied ")
                .append(verified ? "and verified " : "")
                .append(Sizes.format(bytes))
                .append(" in ")
                .append(tenths / 10)
                .append('.')
                .append(tenths % 10)
                .append(" s (")
                .append(Math.round(bytes * 1000.0 / Math.max(1, nanos)))
                .append(" MB/s)")
                .toString();
    }
}

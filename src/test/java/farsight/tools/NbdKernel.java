package farsight.tools;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A Linux kernel with the nbd driver for one command of a test: {@code src/test/tools/nbd-kernel}, whose head says
 * what the command sees there. This machine's files are the guest's, but what it writes stays there, except in
 * shared directories; servers run beside it and listen on {@value #HOST}.
 *
 * <pre>{@code
 * NbdKernel.assumeAvailable();
 * new NbdKernel().server("exec nbdkit -f -i 10.0.2.2 memory 1G").run("nbd-client", "10.0.2.2", "/dev/nbd0")
 * }</pre>
 */
public final class NbdKernel {
    /** The address that the servers listen on, which only the guest reaches. */
    public static final String HOST = "10.0.2.2";

    /** What the tool answers when something is missing, and what it may take beyond its limit to clear up. */
    private static final int MISSING = 126;

    private static final Duration CLEARING_UP = Duration.ofSeconds(30);

    private static final String TOOL = Project.testTool("nbd-kernel").toString();

    private final List<String> options = new ArrayList<>();
    private Duration limit = Duration.ofMinutes(3);

    /** Skips the test, or fails it as {@link Requires} says, where no such kernel can run. */
    public static void assumeAvailable() {
        Commands.Result check = Check.RESULT;
        Requires.that(
                check.exit() != MISSING, "a kernel with nbd", check.stderr().strip());
        check.expectSuccess();
    }

    /** How long the guest may take, its boot of two seconds included; three minutes unless told. */
    public NbdKernel limit(Duration longest) {
        limit = longest;
        return this;
    }

    /** Lets the guest write to a directory of this machine. */
    public NbdKernel share(Path directory) {
        return option("-d", directory.toString());
    }

    /** Runs a line of bash beside the guest, ended with SIGTERM after it. */
    public NbdKernel server(String line) {
        return option("-s", line);
    }

    /**
     * Runs a command in the guest, as root in this test's current directory.
     *
     * @return the command's exit status and output; when that is not 0, what the servers printed follows on stderr
     */
    public Commands.Result run(String... command) {
        List<String> words = new ArrayList<>(List.of(TOOL, "-t", Long.toString(limit.toSeconds())));
        words.addAll(options);
        words.add("--");
        words.addAll(List.of(command));
        return Commands.command(words).limit(limit.plus(CLEARING_UP)).run();
    }

    private NbdKernel option(String name, String value) {
        options.add(name);
        options.add(value);
        return this;
    }

    /** Made once, as it may have to fetch the kernel. */
    private static final class Check {
        static final Commands.Result RESULT =
                Commands.command(TOOL, "-c").limit(Duration.ofMinutes(5)).run();
    }
}

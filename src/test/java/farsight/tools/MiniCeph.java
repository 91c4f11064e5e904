package farsight.tools;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A Ceph cluster for one test class: {@code src/test/tools/mini-ceph}. */
public final class MiniCeph implements AutoCloseable {
    private static final String TOOL = Project.testTool("mini-ceph").toString();
    private static final Duration LIMIT = Duration.ofSeconds(120);

    private final Path directory;

    /** Starts one below a directory whose path is short. */
    public MiniCeph(Path directory) {
        assumeAvailable();
        this.directory = directory;
        verb("start");
    }

    /** Skips the test, or fails it as {@link Requires} says, where no cluster can be made. */
    public static void assumeAvailable() {
        Requires.tool("ceph-mon", "ceph-mon");
        Requires.tool("ceph-osd", "ceph-osd");
        Requires.tool("rbd", "ceph-common");
        Requires.tool("ss", "iproute2");
    }

    /** The configuration of the user "farsight". */
    public Path conf() {
        return directory.resolve("farsight.conf");
    }

    /** start, stop, kill-osd, start-osd, kill-mon, start-mon. */
    public void verb(String verb) {
        // Not through Commands, which leaves nothing of a command behind: the daemons are to stay until close().
        Path log = directory.resolveSibling("mini-ceph.log");
        try {
            Process process = new ProcessBuilder(TOOL, verb, directory.toString())
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
            if (!process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS) || process.exitValue() != 0) {
                process.destroy();
                throw new AssertionError("mini-ceph " + verb + " failed: " + Files.readString(log));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    /** Runs the ceph tool as the administrator. */
    public Commands.Result ceph(String... words) {
        List<String> all = new ArrayList<>(
                List.of("ceph", "-c", directory.resolve("ceph.conf").toString(), "--connect-timeout", "30"));
        all.addAll(Arrays.asList(words));
        return Commands.command(all).limit(LIMIT).run();
    }

    /** Asks the object store's own socket. */
    public Commands.Result osd(String... words) {
        List<String> all = new ArrayList<>(List.of(
                "ceph", "--admin-daemon", directory.resolve("run/osd.asok").toString()));
        all.addAll(Arrays.asList(words));
        return Commands.command(all).limit(LIMIT).run();
    }

    /** Runs the rbd tool as the user "farsight". */
    public Commands.Result rbd(String... words) {
        List<String> all = new ArrayList<>(List.of("rbd", "-c", conf().toString(), "--id", "farsight"));
        all.addAll(Arrays.asList(words));
        return Commands.command(all).limit(LIMIT).run();
    }

    @Override
    public void close() {
        verb("stop");
    }
}

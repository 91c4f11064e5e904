package farsight.tools;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * An external command, run to its end or in the background, with its output captured and an end that is certain:
 * when the run is over nothing of it is left, daemons that it made included.
 *
 * <pre>{@code
 * Commands.command("nbdinfo", "--size", uri).run().expectSuccess().stdout()
 *
 * try (RunningCommand server = Commands.command("nbdkit", "-f", "-U", socket, "memory", "1M").start()) { ... }
 * }</pre>
 *
 * Standard input is {@code /dev/null}. The locale is C, so that messages are the same everywhere.
 */
public final class Commands {
    private static final Duration DEFAULT_LIMIT = Duration.ofSeconds(60);

    private final List<String> words;
    private final Map<String, String> environment = new LinkedHashMap<>();
    private Duration limit = DEFAULT_LIMIT;
    private Path directory;

    private Commands(List<String> words) {
        this.words = words;
    }

    /** A command of a program and its arguments; no shell sees them. */
    public static Commands command(String... words) {
        return new Commands(List.of(words));
    }

    /** A command of a program and its arguments; no shell sees them. */
    public static Commands command(List<String> words) {
        return new Commands(List.copyOf(words));
    }

    /** How long {@link #run} lets it take; 60 seconds unless told. */
    public Commands limit(Duration longest) {
        limit = longest;
        return this;
    }

    /** Adds a variable to the environment, which is otherwise the test's own. */
    public Commands environment(String name, String value) {
        environment.put(name, value);
        return this;
    }

    /** Where it runs; the test's own current directory unless told. */
    public Commands directory(Path where) {
        directory = where;
        return this;
    }

    /**
     * Runs it to its end.
     *
     * @return its exit status, whatever that is, and its output
     * @throws AssertionError if it takes longer than the limit; the message has its output so far
     */
    public Result run() {
        try (RunningCommand running = start()) {
            return running.await(limit);
        }
    }

    /** Starts it in the background; closing the result ends it. */
    public RunningCommand start() {
        ProcessBuilder builder = new ProcessBuilder(words)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
        if (directory != null) {
            builder.directory(directory.toFile());
        }
        builder.environment().put("LC_ALL", "C.UTF-8");
        builder.environment().putAll(environment);
        ProcessFamily family = ProcessFamily.mark(builder.environment());
        try {
            return new RunningCommand(String.join(" ", words), builder.start(), family);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot start " + words.getFirst(), e);
        }
    }

    /**
     * How a command ended.
     *
     * @param command its words, for messages
     * @param exit its exit status; 128 + the signal's number if a signal ended it
     */
    public record Result(String command, int exit, String stdout, String stderr) {
        /** This result, if the command succeeded. */
        public Result expectSuccess() {
            return expectExit(0);
        }

        /** This result, if the command ended with this status; otherwise an error that shows all of its output. */
        public Result expectExit(int expected) {
            if (exit != expected) {
                throw new AssertionError("exit status " + exit + " instead of " + expected + " of: " + this);
            }
            return this;
        }

        @Override
        public String toString() {
            return command + "\n--- exit status " + exit + "\n--- stdout\n" + stdout + "--- stderr\n" + stderr;
        }
    }
}

package farsight.tools;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** A command in the background. Closing it kills whatever of it still runs. Used by one thread. */
public final class RunningCommand implements AutoCloseable {
    private final String command;
    private final Process process;
    private final ProcessFamily family;
    private final CapturedOutput stdout;
    private final CapturedOutput stderr;

    RunningCommand(String command, Process process, ProcessFamily family) {
        this.command = command;
        this.process = process;
        this.family = family;
        stdout = new CapturedOutput(process.getInputStream());
        stderr = new CapturedOutput(process.getErrorStream());
    }

    /** Its process id; that of a server, if it was started without a shell around it. */
    public long pid() {
        return process.pid();
    }

    /**
     * Waits until its standard output has this pattern.
     *
     * @return the first match
     * @throws AssertionError if it ends without printing it, or the limit passes; the message has its output
     */
    public MatchResult awaitStdout(Pattern pattern, Duration limit) {
        return stdout.await(pattern, limit).orElseThrow(() -> unexpected("did not print " + pattern, limit));
    }

    /** Waits until its standard error has this pattern, as {@link #awaitStdout} does. */
    public MatchResult awaitStderr(Pattern pattern, Duration limit) {
        return stderr.await(pattern, limit).orElseThrow(() -> unexpected("did not print " + pattern, limit));
    }

    /** Asks it to end (SIGTERM). By its handle: {@link Process#destroy} also closes the streams that are still being read. */
    public void terminate() {
        process.toHandle().destroy();
    }

    /**
     * Waits until it has ended by itself, then kills what it left behind.
     *
     * @throws AssertionError if it does not end within the limit; the message has its output so far
     */
    public Commands.Result await(Duration limit) {
        if (!exited(limit)) {
            throw unexpected("did not end", limit);
        }
        family.kill();
        return new Commands.Result(command, process.exitValue(), stdout.all(), stderr.all());
    }

    @Override
    public void close() {
        process.destroyForcibly(); // also one whose mark is hidden, as of a program that another user owns
        family.kill();
    }

    private boolean exited(Duration limit) {
        try {
            return process.waitFor(limit.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private AssertionError unexpected(String what, Duration limit) {
        String state = process.isAlive() ? " within " + limit : ", ended with status " + process.exitValue();
        return new AssertionError(command + " " + what + state + "\n--- stdout\n" + stdout + "--- stderr\n" + stderr);
    }
}

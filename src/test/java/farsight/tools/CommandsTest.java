package farsight.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CommandsTest {
    private static final Duration SOON = Duration.ofSeconds(30);

    @Test
    void outputAndExitStatusComeBackApart(@TempDir Path folder) {
        Commands.Result result = shell("pwd; echo \"$GREETING\" >&2; exit 7")
                .environment("GREETING", "hello")
                .directory(folder)
                .run();
        assertEquals(7, result.exit());
        assertEquals(folder + "\n", result.stdout());
        assertEquals("hello\n", result.stderr());
    }

    @Test
    void anUnexpectedStatusShowsTheCommandAndItsOutput() {
        Commands.Result result = shell("echo what happened >&2; exit 3").run();
        AssertionError error = assertThrows(AssertionError.class, result::expectSuccess);
        assertTrue(error.getMessage().contains("exit status 3"), error.getMessage());
        assertTrue(error.getMessage().contains("what happened"), error.getMessage());
    }

    @Test
    void standardInputIsEmpty() {
        assertEquals("", Commands.command("cat").run().expectSuccess().stdout());
    }

    @Test
    void aCommandOverItsLimitIsKilledWithAllOfItsChildren() {
        Commands slow = shell("sleep 1000 & echo $!; exec sleep 1000").limit(Duration.ofMillis(500));
        AssertionError error = assertThrows(AssertionError.class, slow::run);
        assertTrue(error.getMessage().contains("did not end within"), error.getMessage());
        assertGone(firstNumber(error.getMessage()));
    }

    @Test
    void aDaemonThatACommandLeavesBehindIsKilled() {
        String daemon = shell("setsid sleep 1000 & echo $!").run().stdout();
        assertGone(firstNumber(daemon));
    }

    @Test
    void aServerIsWaitedForByWhatItPrints() {
        try (RunningCommand server =
                shell("echo starting; echo ready on port 42; exec sleep 1000").start()) {
            assertEquals(
                    "42",
                    server.awaitStdout(Pattern.compile("port (\\d+)"), SOON).group(1));
            server.terminate();
            assertEquals(128 + 15, server.await(SOON).exit());
        }
    }

    @Test
    void waitingForOutputEndsWithTheCommand() {
        try (RunningCommand server = shell("echo no such file >&2; exit 1").start()) {
            AssertionError error =
                    assertThrows(AssertionError.class, () -> server.awaitStdout(Pattern.compile("ready"), SOON));
            assertTrue(error.getMessage().contains("no such file"), error.getMessage());
        }
    }

    private static Commands shell(String script) {
        return Commands.command("sh", "-c", script);
    }

    private static long firstNumber(String text) {
        return Pattern.compile("^(\\d+)$", Pattern.MULTILINE)
                .matcher(text)
                .results()
                .mapToLong(match -> Long.parseLong(match.group(1)))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no process id in: " + text));
    }

    private static void assertGone(long pid) {
        boolean runs = ProcessHandle.of(pid)
                .flatMap(process -> process.info().command())
                .isPresent();
        assertFalse(runs, () -> "process " + pid + " still runs");
    }
}

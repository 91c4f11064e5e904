package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.RunningCommand;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.Logger;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LogsTest {
    /** The log manager resets itself when the process is told to end, while we still have something to say. */
    @Test
    void whatIsLoggedWhileTheProcessEndsIsShown() {
        PrintStream before = System.err;
        ByteArrayOutputStream shown = new ByteArrayOutputStream();
        System.setErr(new PrintStream(shown, true, StandardCharsets.UTF_8));
        try {
            Logs.configure(false);
            LogManager.getLogManager().reset();
            Logger.getLogger("farsight.device").log(Level.INFO, "stays attached");
            Logger.getLogger("farsight.device").log(Level.FINE, "of no interest");
        } finally {
            System.setErr(before);
            Logs.configure(false);
        }
        assertThat(shown.toString(StandardCharsets.UTF_8)).isEqualTo("farsight: stays attached\n");
    }

    @Test
    void whatOthersNamedBeginsNoLineOfItsOwn() {
        PrintStream before = System.err;
        ByteArrayOutputStream shown = new ByteArrayOutputStream();
        System.setErr(new PrintStream(shown, true, StandardCharsets.UTF_8));
        try {
            Logs.configure(false);
            Logger.getLogger("farsight.server").log(Level.WARNING, "no export ''{0}''", "a\nfarsight: b\u001b[31m");
        } finally {
            System.setErr(before);
            Logs.configure(false);
        }
        assertThat(shown.toString(StandardCharsets.UTF_8))
                .isEqualTo("farsight: warning: no export 'a\\u000afarsight: b\\u001b[31m'\n");
    }

    /** A shell whose standard error is a file, said to be the journal, or another file. */
    @ParameterizedTest
    @CsvSource({"error, <6>metrics on", "other, farsight: metrics on"})
    void theJournalIsToldHowBadItIs(String named, String shown, @TempDir Path folder) throws Exception {
        Path error = Files.createFile(folder.resolve("error"));
        Files.createFile(folder.resolve("other"));
        Path file = folder.resolve("server.toml");
        Files.writeString(file, """
            [server]
            unix = "%s"
            metrics = "127.0.0.1:0"
            [exports.disk]
            backend = "memory"
            size = "1MiB"
            """.formatted(folder.resolve("nbd")));
        String script = "export JOURNAL_STREAM=$(stat -c %d:%i " + folder.resolve(named) + "); exec "
                + Project.launcher() + " server " + file + " 2>" + error;
        try (RunningCommand server = Commands.command("bash", "-c", script).start()) {
            server.awaitStdout(Pattern.compile("serving nbd"), Duration.ofMinutes(1));
            assertThat(Files.readString(error)).contains(shown);
        }
    }
}

package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;

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
}

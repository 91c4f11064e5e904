package farsight.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Locale;
import java.util.logging.ConsoleHandler;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** Logs to standard error, one line each; the stack trace only when asked for. */
final class Logs {
    /** Held, because the log manager forgets loggers that nobody holds. */
    private static final Logger FARSIGHT = Logger.getLogger("farsight");

    /**
     * Above ours, and without a name, so that the log manager does not know it: when the process is told to end it takes
     * the handlers of all loggers that it knows away, at the same time as what is said at the end is said.
     */
    private static final Logger OUTPUT = Logger.getAnonymousLogger();

    private Logs() {}

    static void configure(boolean verbose) {
        Level level = verbose ? Level.FINE : Level.INFO;
        OUTPUT.setUseParentHandlers(false);
        OUTPUT.setLevel(level);
        replaceHandlers(OUTPUT, verbose);
        FARSIGHT.setParent(OUTPUT);
        FARSIGHT.setLevel(level);
        replaceHandlers(Logger.getLogger(""), verbose);
    }

    private static void replaceHandlers(Logger logger, boolean verbose) {
        for (Handler handler : logger.getHandlers()) {
            logger.removeHandler(handler);
        }
        ConsoleHandler console = new ConsoleHandler();
        console.setLevel(Level.ALL);
        console.setFormatter(new OneLine(verbose));
        logger.addHandler(console);
    }

    /** Whether standard error is the journal, by the variable that systemd sets for that (systemd.exec(5), JOURNAL_STREAM). */
    private static boolean toJournal() {
        String journal = System.getenv("JOURNAL_STREAM");
        if (journal == null) {
            return false;
        }
        try {
            Path error = Path.of("/proc/self/fd/2");
            return journal.equals(Files.getAttribute(error, "unix:dev") + ":" + Files.getAttribute(error, "unix:ino"));
        } catch (IOException | RuntimeException e) {
            return false;
        }
    }

    private static final class OneLine extends Formatter {
        private final boolean traces;
        private final boolean journal = toJournal();

        OneLine(boolean traces) {
            this.traces = traces;
        }

        @Override
        public String format(LogRecord entry) {
            String priority = journal ? priority(entry.getLevel()) : "";
            StringBuilder line = new StringBuilder(priority);
            if (!journal) {
                line.append("farsight: ");
                if (entry.getLevel().intValue() >= Level.WARNING.intValue()) {
                    line.append(entry.getLevel().getName().toLowerCase(Locale.ROOT))
                            .append(": ");
                }
            }
            appendVisibly(line, formatMessage(entry));
            line.append('\n');
            if (traces && entry.getThrown() != null) {
                StringWriter trace = new StringWriter();
                entry.getThrown().printStackTrace(new PrintWriter(trace));
                trace.toString()
                        .lines()
                        .forEach(each -> line.append(priority).append(each).append('\n'));
            }
            return line.toString();
        }

        /** As sd-daemon(3) has it: the journal knows who speaks, and shows how bad it is. */
        private static String priority(Level level) {
            int value = level.intValue();
            return value >= Level.SEVERE.intValue()
                    ? "<3>"
                    : value >= Level.WARNING.intValue() ? "<4>" : value >= Level.INFO.intValue() ? "<6>" : "<7>";
        }

        /** What others named, such as exports, cannot begin a line of its own, nor command a terminal. */
        private static void appendVisibly(StringBuilder line, String text) {
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                if (Character.isISOControl(c)) {
                    line.append("\\u").append(HexFormat.of().toHexDigits(c));
                } else {
                    line.append(c);
                }
            }
        }
    }
}

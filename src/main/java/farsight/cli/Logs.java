package farsight.cli;

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

    private static final class OneLine extends Formatter {
        private final boolean traces;

        OneLine(boolean traces) {
            this.traces = traces;
        }

        @Override
        public String format(LogRecord entry) {
            StringBuilder line = new StringBuilder("farsight: ");
            if (entry.getLevel().intValue() >= Level.WARNING.intValue()) {
                line.append(entry.getLevel().getName().toLowerCase(java.util.Locale.ROOT))
                        .append(": ");
            }
            line.append(formatMessage(entry)).append('\n');
            if (traces && entry.getThrown() != null) {
                java.io.StringWriter trace = new java.io.StringWriter();
                entry.getThrown().printStackTrace(new java.io.PrintWriter(trace));
                line.append(trace);
            }
            return line.toString();
        }
    }
}

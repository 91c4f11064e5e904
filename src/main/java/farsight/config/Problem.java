package farsight.config;

import java.util.regex.Pattern;

/**
 * One mistake in a configuration.
 *
 * @param file as it was given; or the name of a variable of the environment
 * @param line from 1; 0 for a variable
 * @param column from 1
 * @param message what is wrong, why, and how it would be right; one line, whatever the file has in it
 */
public record Problem(String file, int line, int column, String message) {
    /** What could break the line or confuse a terminal: control and formatting characters, line separators. */
    private static final Pattern UNPRINTABLE = Pattern.compile("[\\p{Cc}\\p{Cf}\\u2028\\u2029]");

    public Problem {
        message = UNPRINTABLE.matcher(message).replaceAll("?");
    }

    @Override
    public String toString() {
        return (line == 0 ? file : file + ":" + line + ":" + column) + ": " + message;
    }
}

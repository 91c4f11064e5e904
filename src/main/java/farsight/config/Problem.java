package farsight.config;

/**
 * One mistake in a configuration file.
 *
 * @param file as it was given
 * @param line from 1
 * @param column from 1
 * @param message what is wrong and how it would be right, one line
 */
public record Problem(String file, int line, int column, String message) {
    @Override
    public String toString() {
        return file + ":" + line + ":" + column + ": " + message;
    }
}

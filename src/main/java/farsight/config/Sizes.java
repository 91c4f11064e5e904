package farsight.config;

import java.time.Duration;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes and times as people write them. */
public final class Sizes {
    private static final Pattern SIZE = Pattern.compile("(\\d+)\\s*([kmgtpe]?)(?:i?b)?", Pattern.CASE_INSENSITIVE);
    private static final Pattern TIME = Pattern.compile("(\\d+)\\s*(ms|s|m|h)?", Pattern.CASE_INSENSITIVE);
    private static final String UNITS = "kmgtpe";

    private Sizes() {}

    /**
     * Bytes of {@code 4096}, {@code 64k}, {@code 512MiB}; units are powers of 1024.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static long parse(String text) {
        Matcher matcher = SIZE.matcher(text.strip());
        if (!matcher.matches()) {
            throw new IllegalArgumentException("'" + text + "' is not a size such as 4096 or 512MiB");
        }
        String unit = matcher.group(2).toLowerCase(Locale.ROOT);
        int shift = unit.isEmpty() ? 0 : 10 * (UNITS.indexOf(unit) + 1);
        try {
            return Math.multiplyExact(Long.parseLong(matcher.group(1)), 1L << shift);
        } catch (ArithmeticException | NumberFormatException e) {
            throw new IllegalArgumentException("'" + text + "' is more than 2^63-1 bytes", e);
        }
    }

    /** The shortest exact text of a size: {@code 512MiB}, {@code 1000}. */
    public static String format(long bytes) {
        int unit = 0;
        long value = bytes;
        while (unit < UNITS.length() && value >= 1024 && value % 1024 == 0) {
            value /= 1024;
            unit++;
        }
        return unit == 0
                ? Long.toString(value)
                : value + UNITS.substring(unit - 1, unit).toUpperCase(Locale.ROOT) + "iB";
    }

    /**
     * The time of {@code 30} (seconds), {@code 500ms}, {@code 5m}, {@code 1h}.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static Duration parseTime(String text) {
        Matcher matcher = TIME.matcher(text.strip());
        if (!matcher.matches()) {
            throw new IllegalArgumentException("'" + text + "' is not a time such as 30, 500ms or 5m");
        }
        try {
            long value = Long.parseLong(matcher.group(1));
            String unit = matcher.group(2) == null ? "s" : matcher.group(2).toLowerCase(Locale.ROOT);
            return switch (unit) {
                case "ms" -> Duration.ofMillis(value);
                case "m" -> Duration.ofSeconds(Math.multiplyExact(value, 60L));
                case "h" -> Duration.ofSeconds(Math.multiplyExact(value, 3600L));
                default -> Duration.ofSeconds(value);
            };
        } catch (ArithmeticException | NumberFormatException e) {
            throw new IllegalArgumentException("'" + text + "' is too long a time", e);
        }
    }
}

package farsight.config;

import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes and times as people write them. */
public final class Sizes {
    private static final String UNITS = "KMGTPE";

    private Sizes() {}

    /** Apart, since programs that end at once write sizes and read none. */
    private static final class Patterns {
        static final Pattern SIZE = Pattern.compile("(\\d+)\\s*([kmgtpe]?)(i?)(b?)", Pattern.CASE_INSENSITIVE);
        static final Pattern TIME = Pattern.compile("(\\d+)\\s*(us|ms|s|m|h)?", Pattern.CASE_INSENSITIVE);
    }

    /**
     * Bytes of {@code 4096}, {@code 64k}, {@code 512MiB}; units are powers of 1024. {@code 512MB} is refused: half of
     * the world means powers of 1000 by it.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static long parse(String text) {
        Matcher matcher = Patterns.SIZE.matcher(text.strip());
        if (!matcher.matches()) {
            throw notASize(text);
        }
        String unit = matcher.group(2).toUpperCase(Locale.ROOT);
        boolean binary = !matcher.group(3).isEmpty();
        boolean bytes = !matcher.group(4).isEmpty();
        if (unit.isEmpty() ? binary : binary && !bytes) {
            throw notASize(text);
        }
        if (!unit.isEmpty() && bytes && !binary) {
            throw new IllegalArgumentException("'" + text + "' could be a power of 1000 or of 1024; write "
                    + matcher.group(1) + unit + "iB for 1024");
        }
        try {
            long factor = unit.isEmpty() ? 1 : 1L << 10 * (UNITS.indexOf(unit) + 1);
            return Math.multiplyExact(Long.parseLong(matcher.group(1)), factor);
        } catch (ArithmeticException | NumberFormatException e) {
            throw new IllegalArgumentException("'" + text + "' is more than 2^63-1 bytes", e);
        }
    }

    private static IllegalArgumentException notASize(String text) {
        return new IllegalArgumentException(
                "'" + Values.shorten(text) + "' is not a size such as 4096, 64K or 512MiB, in whole numbers");
    }

    /** The shortest exact text of a size: {@code 512MiB}, {@code 1000}. */
    public static String format(long bytes) {
        int unit = 0;
        long value = bytes;
        while (unit < UNITS.length() && value >= 1024 && value % 1024 == 0) {
            value /= 1024;
            unit++;
        }
        return unit == 0 ? Long.toString(value) : value + UNITS.substring(unit - 1, unit) + "iB";
    }

    /**
     * The time of {@code 30} (seconds), {@code 50us}, {@code 500ms}, {@code 5m}, {@code 1h}.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static Duration parseTime(String text) {
        Matcher matcher = Patterns.TIME.matcher(text.strip());
        if (!matcher.matches()) {
            throw new IllegalArgumentException(
                    "'" + Values.shorten(text) + "' is not a time such as 30, 500ms, 5m or 1h, in whole numbers");
        }
        try {
            long value = Long.parseLong(matcher.group(1));
            String unit = matcher.group(2) == null ? "s" : matcher.group(2).toLowerCase(Locale.ROOT);
            return switch (unit) {
                case "us" -> Duration.of(value, ChronoUnit.MICROS);
                case "ms" -> Duration.ofMillis(value);
                case "m" -> Duration.ofMinutes(value);
                case "h" -> Duration.ofHours(value);
                default -> Duration.ofSeconds(value);
            };
        } catch (ArithmeticException | NumberFormatException e) {
            throw new IllegalArgumentException("'" + Values.shorten(text) + "' is too long a time", e);
        }
    }

    /** The shortest exact text of a time, down to microseconds: {@code 5m}, {@code 90s}, {@code 500ms}. */
    public static String formatTime(Duration time) {
        if (time.getNano() % 1_000_000 != 0) {
            return time.toNanos() / 1000 + "us";
        }
        if (time.getNano() != 0) {
            return time.toMillis() + "ms";
        }
        long seconds = time.toSeconds();
        if (seconds == 0 || seconds % 60 != 0) {
            return seconds + "s";
        }
        return seconds % 3600 != 0 ? seconds / 60 + "m" : seconds / 3600 + "h";
    }
}

package farsight.config;

import farsight.backend.Setting;
import farsight.backend.Settings;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tomlj.TomlArray;
import org.tomlj.TomlTable;

/** From what TOML knows to what a {@link Setting} holds. */
final class Values {
    /** How much of a file's text is repeated in a message. */
    private static final int QUOTED = 60;

    private Values() {}

    /**
     * A value as the Java type that {@link Settings} gives for it; null when it is of another kind.
     *
     * @throws IllegalArgumentException when it is of that kind, but wrong
     */
    static Object convert(Object value, Setting.Type type) {
        return switch (type) {
            case STRING -> value instanceof String text ? checked(text) : null;
            case BOOLEAN -> value instanceof Boolean ? value : null;
            case INTEGER -> value instanceof Long ? value : null;
            case SIZE -> value instanceof String text ? (Object) Sizes.parse(text) : notNegative(value);
            case DURATION -> duration(value);
            case STRINGS -> value instanceof TomlArray array ? strings(array) : null;
            case TABLE -> value instanceof TomlTable table ? table(table) : null;
        };
    }

    /** Every string may become a path or a name in a system call, where it would end at the NUL. */
    private static String checked(String text) {
        if (text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("a NUL (\\u0000) cannot be part of it; remove it");
        }
        return text;
    }

    private static Object notNegative(Object value) {
        if (value instanceof Long number && number < 0) {
            throw new IllegalArgumentException(number + " is negative");
        }
        return value instanceof Long ? value : null;
    }

    private static Object duration(Object value) {
        return switch (value) {
            case String text -> Sizes.parseTime(text);
            case Long seconds -> Duration.ofSeconds((Long) notNegative(seconds));
            default -> null;
        };
    }

    private static List<String> strings(TomlArray array) {
        List<String> list = new ArrayList<>();
        for (Object element : array.toList()) {
            if (!(element instanceof String text)) {
                return null;
            }
            list.add(checked(text));
        }
        return List.copyOf(list);
    }

    private static Map<String, String> table(TomlTable table) {
        Map<String, String> map = new HashMap<>();
        for (String key : table.keySet()) {
            if (!(table.get(List.of(key)) instanceof String text)) {
                return null;
            }
            map.put(checked(key), checked(text));
        }
        return Map.copyOf(map);
    }

    /** The end of a message about a value of the wrong kind: what it is, and the usual cure. */
    static String mismatch(Object value, Setting.Type type) {
        String found = switch (value) {
            case String text -> "the string \"" + shorten(text) + "\"";
            case TomlTable table -> "a table";
            case TomlArray array -> "an array" + (type == Setting.Type.STRINGS ? " with other things" : "");
            default -> value.toString();
        };
        String cure = switch (type) {
            case INTEGER, BOOLEAN ->
                value instanceof String text && text.strip().matches("[+-]?\\d+|true|false")
                        ? "; remove the quotes"
                        : "";
            case STRING ->
                value instanceof Long || value instanceof Boolean || value instanceof Double
                        ? "; put it in quotes"
                        : "";
            default -> "";
        };
        return found + cure;
    }

    static String shorten(String text) {
        return text.length() <= QUOTED ? text : text.substring(0, QUOTED) + "...";
    }
}

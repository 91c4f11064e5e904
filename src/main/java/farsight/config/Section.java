package farsight.config;

import farsight.backend.Setting;
import farsight.backend.Settings;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.tomlj.TomlArray;
import org.tomlj.TomlPosition;
import org.tomlj.TomlTable;

/**
 * A table of a configuration file while it is read. Every getter checks the type, collects a {@link Problem} when it is
 * wrong and then gives the default, so that reading goes on and finds the next mistake.
 */
final class Section {
    private final String file;
    private final String name;
    private final TomlTable table;
    private final TomlPosition start;
    private final List<Problem> problems;
    private final List<String> known = new ArrayList<>();

    /**
     * @param name as written between the brackets; empty for the file itself
     * @param table null when the file has no such section: it is then empty
     */
    Section(String file, String name, TomlTable table, TomlPosition start, List<Problem> problems) {
        this.file = file;
        this.name = name;
        this.table = table;
        this.start = start;
        this.problems = problems;
    }

    boolean isPresent() {
        return table != null;
    }

    String name() {
        return name;
    }

    // ---- problems ------------------------------------------------------------------------------------------------

    void problem(TomlPosition position, String message) {
        int line = position == null ? 1 : position.line();
        int column = position == null ? 1 : position.column();
        problems.add(new Problem(file, line, column, message));
    }

    /** At a key. */
    void problem(String key, String message) {
        problem(position(key), message);
    }

    /** At the section's head. */
    void problem(String message) {
        problem(start, message);
    }

    /** Of the whole file, so far. */
    int problemCount() {
        return problems.size();
    }

    private TomlPosition position(String key) {
        TomlPosition position = table == null ? null : table.inputPositionOf(List.of(key));
        return position == null ? start : position;
    }

    private String label(String key) {
        return name.isEmpty() ? "'" + key + "'" : "[" + name + "] " + key;
    }

    /** Reports every key that no getter has asked for. */
    void rejectUnknown() {
        if (table == null) {
            return;
        }
        for (String key : table.keySet()) {
            if (!known.contains(key)) {
                String hint = Suggestion.of(key, known)
                        .map(word -> "did you mean '" + word + "'?")
                        .orElse(known.isEmpty() ? "this section has no keys" : "known are " + String.join(", ", known));
                problem(key, "unknown key " + label(key) + "; " + hint);
            }
        }
    }

    // ---- values --------------------------------------------------------------------------------------------------

    boolean has(String key) {
        known(key);
        return value(key) != null;
    }

    private void known(String key) {
        if (!known.contains(key)) {
            known.add(key);
        }
    }

    private Object value(String key) {
        return table == null ? null : table.get(List.of(key));
    }

    Section table(String key) {
        known(key);
        Object value = value(key);
        String path = name.isEmpty() ? key : name + "." + key;
        if (value != null && !(value instanceof TomlTable)) {
            problem(key, label(key) + " must be a section: write [" + path + "] on a line of its own");
            value = null;
        }
        return new Section(file, path, (TomlTable) value, position(key), problems);
    }

    /** The names of the tables and keys within. */
    List<String> keys() {
        return table == null ? List.of() : List.copyOf(table.keySet());
    }

    String string(String key, String otherwise) {
        return typed(key, Setting.Type.STRING).map(String.class::cast).orElse(otherwise);
    }

    boolean flag(String key, boolean otherwise) {
        return typed(key, Setting.Type.BOOLEAN).map(Boolean.class::cast).orElse(otherwise);
    }

    long integer(String key, long least, long most, long otherwise) {
        return inRange(key, typed(key, Setting.Type.INTEGER), least, most, otherwise, String::valueOf);
    }

    long size(String key, long least, long most, long otherwise) {
        return inRange(key, typed(key, Setting.Type.SIZE), least, most, otherwise, Sizes::format);
    }

    private long inRange(
            String key, Optional<Object> value, long least, long most, long otherwise, Function<Long, String> format) {
        if (value.isEmpty()) {
            return otherwise;
        }
        long number = (Long) value.get();
        if (number < least || number > most) {
            problem(
                    key,
                    label(key) + " is " + format.apply(number) + "; it must be from " + format.apply(least) + " to "
                            + format.apply(most));
            return otherwise;
        }
        return number;
    }

    Duration duration(String key, Duration otherwise) {
        return typed(key, Setting.Type.DURATION).map(Duration.class::cast).orElse(otherwise);
    }

    /** A string, or an array of them. */
    List<String> strings(String key, List<String> otherwise) {
        known(key);
        Object value = value(key);
        if (value instanceof String one) {
            return List.of(one);
        }
        return typed(key, Setting.Type.STRINGS).map(Section::asStrings).orElse(otherwise);
    }

    @SuppressWarnings("unchecked")
    private static List<String> asStrings(Object list) {
        return (List<String>) list;
    }

    /** What the file says, as the Java type of {@link Settings}; empty when it says nothing, or something wrong. */
    Optional<Object> typed(String key, Setting.Type type) {
        known(key);
        Object value = value(key);
        if (value == null) {
            return Optional.empty();
        }
        try {
            Object converted = convert(value, type);
            if (converted == null) {
                problem(key, label(key) + " must be " + type.description() + ", not " + describe(value));
            }
            return Optional.ofNullable(converted);
        } catch (IllegalArgumentException e) {
            problem(key, label(key) + ": " + e.getMessage());
            return Optional.empty();
        }
    }

    private static Object convert(Object value, Setting.Type type) {
        return switch (type) {
            case STRING -> value instanceof String ? value : null;
            case BOOLEAN -> value instanceof Boolean ? value : null;
            case INTEGER -> value instanceof Long ? value : null;
            case SIZE -> value instanceof String text ? (Object) Sizes.parse(text) : positive(value);
            case DURATION -> duration(value);
            case STRINGS -> value instanceof TomlArray array ? stringList(array) : null;
            case TABLE -> value instanceof TomlTable table ? stringMap(table) : null;
        };
    }

    private static Object positive(Object value) {
        if (value instanceof Long number && number < 0) {
            throw new IllegalArgumentException(number + " is negative");
        }
        return value instanceof Long ? value : null;
    }

    private static Object duration(Object value) {
        return switch (value) {
            case String text -> Sizes.parseTime(text);
            case Long seconds -> Duration.ofSeconds((Long) positive(seconds));
            default -> null;
        };
    }

    private static List<String> stringList(TomlArray array) {
        List<String> list = new ArrayList<>();
        for (Object element : array.toList()) {
            if (!(element instanceof String text)) {
                return null;
            }
            list.add(text);
        }
        return List.copyOf(list);
    }

    private static Map<String, String> stringMap(TomlTable table) {
        Map<String, String> map = new HashMap<>();
        for (String key : table.keySet()) {
            if (!(table.get(List.of(key)) instanceof String text)) {
                return null;
            }
            map.put(key, text);
        }
        return Map.copyOf(map);
    }

    private static String describe(Object value) {
        return switch (value) {
            case String text -> "the string \"" + text + "\"";
            case TomlTable ignored -> "a table";
            case TomlArray ignored -> "an array";
            default -> value.toString();
        };
    }

    /** The declared settings of a backend that the file gives; required ones that it does not are problems. */
    Settings settings(List<Setting> declared) {
        Map<String, Object> values = new HashMap<>();
        for (Setting setting : declared) {
            Optional<Object> value = typed(setting.name(), setting.type());
            value.ifPresent(present -> values.put(setting.name(), present));
            if (setting.required() && value(setting.name()) == null) {
                problem("[" + name + "] needs " + setting.name() + " = ...: " + setting.description());
            }
        }
        return new Settings(values);
    }
}

package farsight.config;

import farsight.backend.Setting;
import farsight.backend.Settings;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.tomlj.TomlArray;
import org.tomlj.TomlPosition;
import org.tomlj.TomlTable;

/**
 * A table of a configuration file while it is read. Every getter checks the type, collects a {@link Problem} when it is
 * wrong and then gives the default, so that reading goes on and finds the next mistake.
 */
final class Section {
    private final TomlFile file;
    private final String name;
    private final String variable;
    private final TomlTable table;
    private final TomlPosition start;
    private final Set<String> known = new LinkedHashSet<>();
    private final Set<String> values = new LinkedHashSet<>();
    private boolean complete;
    private String unknownSectionIs = "";

    /**
     * @param name as written between the brackets; empty for the file itself
     * @param variable what variables of the environment for its keys begin with
     * @param table null when the file has no such section: it is then empty
     */
    Section(TomlFile file, String name, String variable, TomlTable table, TomlPosition start) {
        this.file = file;
        this.name = name;
        this.variable = variable;
        this.table = table;
        this.start = start;
    }

    /** Whether the file has it, or a variable speaks of one of its keys. */
    boolean isPresent() {
        return table != null || (!isRoot() && file.environment().speaksOf(variable));
    }

    private boolean isRoot() {
        return name.isEmpty();
    }

    /** As a person writes it, with the brackets. */
    String title() {
        return "[" + name + "]";
    }

    // ---- problems ------------------------------------------------------------------------------------------------

    /** At a key, wherever its value comes from. */
    void problem(String key, String message) {
        if (said(key) != null) {
            file.problem(variable(key), message);
        } else {
            file.problem(position(key), message);
        }
    }

    /** At the section's head. */
    void problem(String message) {
        file.problem(start, message);
    }

    private TomlPosition position(String key) {
        TomlPosition position = table == null ? null : table.inputPositionOf(List.of(key));
        return position == null ? start : position;
    }

    private String label(String key) {
        return isRoot() ? "'" + quoted(key) + "'" : title() + " " + quoted(key);
    }

    /** A key as TOML wants it written. */
    private static String quoted(String key) {
        String shown = Values.shorten(key);
        return shown.matches("[A-Za-z0-9_-]+") ? shown : "\"" + shown + "\"";
    }

    // ---- unknown keys --------------------------------------------------------------------------------------------

    /** All keys were asked for: what is left is unknown, and is reported when the file is finished. */
    void rejectUnknown() {
        complete = true;
    }

    /** @param what more about a section that is unknown, such as "which is ..." */
    void rejectUnknown(String what) {
        unknownSectionIs = ", " + what;
        rejectUnknown();
    }

    boolean knows(String key) {
        return known.contains(key);
    }

    /** Whether all its keys are known by now. */
    boolean isComplete() {
        return complete;
    }

    /** What variables for its keys begin with. */
    String variable() {
        return variable;
    }

    /** The variables of the keys that were asked for, with these as a person writes them. */
    Map<String, String> variables() {
        Map<String, String> variables = new HashMap<>();
        if (!isRoot()) {
            values.forEach(key -> variables.put(variable(key), label(key)));
        }
        return variables;
    }

    void reportUnknown() {
        if (table == null || !complete) {
            return;
        }
        for (String key : table.keySet()) {
            if (!knows(key)) {
                problem(key, isSection(key) ? unknownSection(key) : unknownKey(key));
            }
        }
    }

    private boolean isSection(String key) {
        return value(key) instanceof TomlTable;
    }

    private String unknownSection(String key) {
        String near = Suggestion.of(key, known)
                .map(word -> "did you mean " + (isRoot() ? "[" + word + "]" : "'" + word + "'") + "?")
                .orElseGet(this::everythingKnown);
        return "unknown section [" + path(key) + "]" + unknownSectionIs + "; " + near;
    }

    private String unknownKey(String key) {
        String where = isRoot() ? "before the first section" : "in " + title();
        String hint = isRoot()
                ? elsewhere(key)
                : Suggestion.of(key, known)
                        .map(word -> "did you mean '" + word + "'?")
                        .orElseGet(() -> elsewhere(key));
        return "unknown key '" + Values.shorten(key) + "' " + where + "; " + hint;
    }

    private String elsewhere(String key) {
        return file.sectionWith(key)
                .map(section -> "it belongs in " + section.title())
                .orElseGet(this::everythingKnown);
    }

    private String everythingKnown() {
        if (known.isEmpty()) {
            return "this section has no keys";
        }
        return "known are "
                + known.stream().map(word -> isRoot() ? "[" + word + "]" : word).collect(Collectors.joining(", "));
    }

    // ---- values --------------------------------------------------------------------------------------------------

    /** Whether there is such a key, be it with a wrong value. */
    boolean has(String key) {
        known.add(key);
        values.add(key);
        String said = said(key);
        return said != null ? !said.isEmpty() : value(key) != null || file.isBrokenKey(start, key);
    }

    private Object value(String key) {
        return table == null ? null : table.get(List.of(key));
    }

    private String variable(String key) {
        return Environment.variable(variable, key);
    }

    /** What the environment says of a key, or null. */
    private String said(String key) {
        return isRoot() ? null : file.environment().get(variable(key));
    }

    private String path(String key) {
        return isRoot() ? quoted(key) : name + "." + quoted(key);
    }

    Section table(String key) {
        known.add(key);
        Object value = value(key);
        if (value != null && !(value instanceof TomlTable)) {
            problem(key, label(key) + " must be a section: write [" + path(key) + "] on a line of its own");
            value = null;
        }
        return file.section(path(key), variable(key), (TomlTable) value, position(key));
    }

    /** The tables of an array, {@code [{ ... }, ...]}; none when there is no such key. */
    List<Section> tables(String key) {
        known.add(key);
        Object value = value(key);
        if (value == null) {
            return List.of();
        }
        if (!(value instanceof TomlArray array)) {
            problem(key, label(key) + " must be an array of tables: " + quoted(key) + " = [{ ... }]");
            return List.of();
        }
        List<Section> sections = new ArrayList<>();
        for (int i = 0; i < array.size(); i++) {
            if (array.get(i) instanceof TomlTable entry) {
                String suffix = "_" + (i + 1);
                sections.add(file.section(
                        path(key) + "#" + (i + 1), variable(key) + suffix, entry, array.inputPositionOf(i)));
            } else {
                problem(key, label(key) + " must be an array of tables, but its element " + (i + 1) + " is none");
            }
        }
        return sections;
    }

    /** A section that must be there. */
    Section requiredTable(String key) {
        Section section = table(key);
        if (!section.isPresent() && !has(key) && !file.isBrokenHeader(key)) {
            problem("the section [" + key + "] is missing");
        }
        return section;
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
        return typed(key, Setting.Type.INTEGER)
                .map(Long.class::cast)
                .filter(number -> inRange(key, number, least, most, String::valueOf))
                .orElse(otherwise);
    }

    long size(String key, long least, long most, long otherwise) {
        return typed(key, Setting.Type.SIZE)
                .map(Long.class::cast)
                .filter(bytes -> inRange(key, bytes, least, most, Sizes::format))
                .orElse(otherwise);
    }

    Duration duration(String key, Duration least, Duration most, Duration otherwise) {
        return typed(key, Setting.Type.DURATION)
                .map(Duration.class::cast)
                .filter(time -> inRange(key, time, least, most, Sizes::formatTime))
                .orElse(otherwise);
    }

    private <T extends Comparable<T>> boolean inRange(
            String key, T value, T least, T most, Function<T, String> format) {
        if (value.compareTo(least) >= 0 && value.compareTo(most) <= 0) {
            return true;
        }
        problem(
                key,
                label(key) + " is " + format.apply(value) + "; it must be from " + format.apply(least) + " to "
                        + format.apply(most));
        return false;
    }

    /** A string, or an array of them. */
    List<String> strings(String key, List<String> otherwise) {
        if (said(key) == null && value(key) instanceof String) {
            return typed(key, Setting.Type.STRING)
                    .map(one -> List.of((String) one))
                    .orElse(otherwise);
        }
        return typed(key, Setting.Type.STRINGS).map(Section::asStrings).orElse(otherwise);
    }

    /** A table of strings, such as {@code { a = "1" }}. */
    @SuppressWarnings("unchecked")
    Map<String, String> texts(String key) {
        return typed(key, Setting.Type.TABLE)
                .map(table -> (Map<String, String>) table)
                .orElse(Map.of());
    }

    @SuppressWarnings("unchecked")
    private static List<String> asStrings(Object list) {
        return (List<String>) list;
    }

    /** What the environment or else the file says, as the Java type of {@link Settings}; empty when it says nothing, or something wrong. */
    private Optional<Object> typed(String key, Setting.Type type) {
        if (!has(key)) {
            return Optional.empty();
        }
        try {
            String said = said(key);
            Object value = said == null ? value(key) : Environment.value(said, type);
            if (value == null) {
                return Optional.empty();
            }
            Object converted = Values.convert(value, type);
            if (converted == null) {
                String found = said == null ? Values.mismatch(value, type) : "\"" + Values.shorten(said) + "\"";
                problem(key, label(key) + " must be " + type.description() + ", not " + found);
            }
            return Optional.ofNullable(converted);
        } catch (IllegalArgumentException e) {
            problem(key, label(key) + ": " + e.getMessage());
            return Optional.empty();
        }
    }

    /** The declared settings of a backend that the file gives; required ones that it does not are problems. */
    Settings settings(List<Setting> declared) {
        Map<String, Object> values = new HashMap<>();
        for (Setting setting : declared) {
            typed(setting.name(), setting.type()).ifPresent(present -> values.put(setting.name(), present));
            if (setting.required() && !has(setting.name())) {
                problem(title() + " needs " + setting.name() + " = ...: " + setting.description());
            }
        }
        return new Settings(values);
    }
}

package farsight.config;

import farsight.backend.Setting;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.tomlj.Toml;
import org.tomlj.TomlParseResult;

/**
 * Variables of the environment that say something about a configuration: {@code FARSIGHT_SECTION_KEY}, in upper case and
 * with an underscore for everything that is no letter or digit. What they say comes before what the file says.
 */
final class Environment {
    /** That nothing is said by variables. */
    static final Environment EMPTY = new Environment(Map.of());

    /** What all names begin with. */
    static final String ROOT = "FARSIGHT";

    /** Of the launcher and of the tests; not for the configuration. */
    private static final List<String> OTHERS =
            List.of("FARSIGHT_JAVA_", "FARSIGHT_REQUIRE_ALL", "FARSIGHT_TEST_", "FARSIGHT_NBD_KERNEL_");

    private final Map<String, String> variables;

    private Environment(Map<String, String> variables) {
        this.variables = variables;
    }

    static Environment of(Map<String, String> all) {
        Map<String, String> ours = new HashMap<>(all);
        ours.keySet()
                .removeIf(
                        name -> !name.startsWith(ROOT + "_") || OTHERS.stream().anyMatch(name::startsWith));
        return new Environment(Map.copyOf(ours));
    }

    static Environment ofThisProcess() {
        return of(System.getenv());
    }

    /** The variable for a key, or for a section, within what has a variable already. */
    static String variable(String within, String key) {
        return within + "_" + key.toUpperCase(Locale.ROOT).replaceAll("[^A-Z0-9]", "_");
    }

    Set<String> names() {
        return variables.keySet();
    }

    /** Null when it is not set. An empty one takes away what the file says. */
    String get(String variable) {
        return variables.get(variable);
    }

    /** Whether something is said about a key of a section. */
    boolean speaksOf(String section) {
        return variables.entrySet().stream()
                .anyMatch(entry -> entry.getKey().startsWith(section + "_")
                        && !entry.getValue().isEmpty());
    }

    /**
     * What a text means as the file would have it; the text itself when it is nothing of the kind.
     *
     * @throws IllegalArgumentException when it is not what it begins as
     */
    static Object value(String text, Setting.Type type) {
        return switch (type) {
            case STRING -> text;
            case BOOLEAN -> text.equals("true") ? (Object) true : text.equals("false") ? false : text;
            case INTEGER, SIZE, DURATION -> number(text);
            case STRINGS -> toml(text.startsWith("[") ? text : array(text));
            case TABLE -> toml(text.startsWith("{") ? text : "{" + text + "}");
        };
    }

    private static Object number(String text) {
        try {
            return Long.valueOf(text);
        } catch (NumberFormatException e) {
            return text;
        }
    }

    /** Commas separate, as values that have one are rare; TOML's own way is there for these. */
    private static String array(String text) {
        List<String> quoted = new ArrayList<>();
        for (String element : text.split(",", -1)) {
            quoted.add("\"" + element.strip().replace("\\", "\\\\").replace("\"", "\\\"") + "\"");
        }
        return quoted.stream().collect(Collectors.joining(", ", "[", "]"));
    }

    private static Object toml(String text) {
        TomlParseResult parsed = Toml.parse("value = " + text);
        if (parsed.hasErrors() || parsed.size() != 1) {
            throw new IllegalArgumentException("'" + Values.shorten(text) + "' is not valid TOML");
        }
        return parsed.get("value");
    }
}

package farsight.backend;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Values for declared {@link Setting}s, already checked for name and type: String, Long (INTEGER and, in bytes, SIZE),
 * Boolean, Duration, List of String, Map of String to String.
 */
public record Settings(Map<String, Object> values) {
    public static final Settings NONE = new Settings(Map.of());

    public Settings {
        values = Map.copyOf(values);
    }

    public boolean has(String name) {
        return values.containsKey(name);
    }

    public Optional<String> string(String name) {
        return Optional.ofNullable((String) values.get(name));
    }

    /** An INTEGER, or a SIZE in bytes. */
    public OptionalLong number(String name) {
        return values.get(name) instanceof Long number ? OptionalLong.of(number) : OptionalLong.empty();
    }

    /** False when it is not given. */
    public boolean flag(String name) {
        return Boolean.TRUE.equals(values.get(name));
    }

    public Optional<Duration> duration(String name) {
        return Optional.ofNullable((Duration) values.get(name));
    }

    @SuppressWarnings("unchecked")
    public List<String> strings(String name) {
        return (List<String>) values.getOrDefault(name, List.of());
    }

    @SuppressWarnings("unchecked")
    public Map<String, String> table(String name) {
        return (Map<String, String>) values.getOrDefault(name, Map.of());
    }
}

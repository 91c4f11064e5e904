package farsight.config;

import java.io.IOException;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;

/** A configuration cannot be used. The message has one line for every mistake in it. */
public final class ConfigException extends IOException {
    private static final long serialVersionUID = 1;

    private final transient List<Problem> problems;

    public ConfigException(List<Problem> problems) {
        super(sorted(problems).stream().map(Problem::toString).collect(Collectors.joining("\n")));
        this.problems = sorted(problems);
    }

    /** For what has no place in a file. */
    public ConfigException(String message) {
        super(message);
        problems = List.of();
    }

    private static List<Problem> sorted(List<Problem> problems) {
        return problems.stream()
                .sorted(Comparator.comparingInt(Problem::line).thenComparingInt(Problem::column))
                .toList();
    }

    /** In the order of the file; empty when it is not about a file's content. */
    public List<Problem> problems() {
        return problems;
    }
}

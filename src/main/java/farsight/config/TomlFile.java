package farsight.config;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tomlj.Toml;
import org.tomlj.TomlParseError;
import org.tomlj.TomlParseResult;
import org.tomlj.TomlPosition;
import org.tomlj.TomlTable;

/** A parsed file, the sections of it that were read, and the problems found so far. */
final class TomlFile {
    /** Far above any configuration; so that {@code /dev/zero} is a message and not the end of the heap. */
    private static final int LARGEST = 1 << 20;

    private static final Pattern DEFINED_TWICE =
            Pattern.compile("(.*) previously defined at (line \\d+, column \\d+)", Pattern.DOTALL);
    private static final Pattern HEADER = Pattern.compile("\\s*\\[+\\s*([^\\s\\[\\].]*).*");
    private static final Pattern KEY = Pattern.compile("\\s*[\"']?([^\\s\"'=.]+)[\"']?\\s*=.*");

    /** A line that is not TOML: what it would have defined is not missing, and not reported a second time. */
    private record BrokenLine(int number, String word, boolean isHeader) {}

    private final String name;
    private final Environment environment;
    private final List<String> lines;
    private final Set<Problem> problems = new LinkedHashSet<>();
    private final List<Section> sections = new ArrayList<>();
    private final List<BrokenLine> broken = new ArrayList<>();
    private final Section root;

    private TomlFile(String name, String text, Environment environment) {
        this.name = name;
        this.environment = environment;
        lines = text.lines().toList();
        TomlParseResult parsed = Toml.parse(text);
        parsed.errors().forEach(this::syntaxError);
        root = section("", Environment.ROOT, parsed, null);
    }

    /** @throws IOException one line, when the file cannot be read at all */
    static TomlFile read(Path path, Environment environment) throws IOException {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(path)) {
            bytes = in.readNBytes(LARGEST + 1);
        } catch (NoSuchFileException e) {
            throw new ConfigException(path + ": no such file; give the path of a TOML file");
        } catch (AccessDeniedException e) {
            throw new ConfigException(path + ": permission denied; check its owner and mode");
        } catch (IOException e) {
            throw new ConfigException(path + ": cannot be read: " + e.getMessage());
        }
        if (bytes.length > LARGEST) {
            throw new ConfigException(path + ": more than " + Sizes.format(LARGEST) + ", which is no configuration");
        }
        try {
            return parse(
                    path.toString(),
                    StandardCharsets.UTF_8
                            .newDecoder()
                            .decode(ByteBuffer.wrap(bytes))
                            .toString(),
                    environment);
        } catch (CharacterCodingException e) {
            throw new ConfigException(path + ": not UTF-8, which TOML has to be; convert it");
        }
    }

    /** Whether a file has a word anywhere in it; not, when it cannot be read. */
    static boolean mentions(Path path, String word) {
        try (InputStream in = Files.newInputStream(path)) {
            return new String(in.readNBytes(LARGEST), StandardCharsets.ISO_8859_1).contains(word);
        } catch (IOException e) {
            return false;
        }
    }

    static TomlFile parse(String name, String text, Environment environment) {
        // Some editors begin a file with a byte order mark, which tomlj takes for a part of the first word.
        return new TomlFile(name, text.startsWith("\uFEFF") ? text.substring(1) : text, environment);
    }

    private void syntaxError(TomlParseError error) {
        String said = error.getMessage().lines().findFirst().orElse("");
        Matcher twice = DEFINED_TWICE.matcher(said);
        if (twice.matches()) {
            problem(
                    error.position(),
                    "'" + twice.group(1) + "' is there twice; first at " + twice.group(2) + ": remove one of them");
            return;
        }
        String hint = said.matches("Unexpected '[\\p{Alpha}/~.:]', expected a value.*") ? "; text needs quotes" : "";
        problem(error.position(), "not valid TOML: " + said + hint);
        int number = error.position().line();
        if (number <= lines.size()) {
            String line = lines.get(number - 1);
            word(HEADER, line).ifPresent(word -> broken.add(new BrokenLine(number, word, true)));
            word(KEY, line).ifPresent(word -> broken.add(new BrokenLine(number, word, false)));
        }
    }

    private static Optional<String> word(Pattern pattern, String line) {
        Matcher matcher = pattern.matcher(line);
        return matcher.matches() ? Optional.of(matcher.group(1)) : Optional.empty();
    }

    /** Whether a line that could not be read would have had that key of the section that begins at a position. */
    boolean isBrokenKey(TomlPosition section, String key) {
        int from = section == null ? 0 : section.line();
        int to = from;
        while (to < lines.size() && !HEADER.matcher(lines.get(to)).matches()) {
            to++;
        }
        int end = to;
        return broken.stream()
                .anyMatch(line ->
                        !line.isHeader() && line.word().equals(key) && line.number() > from && line.number() <= end);
    }

    /** Whether a line that could not be read would have begun that section. */
    boolean isBrokenHeader(String section) {
        return broken.stream().anyMatch(line -> line.isHeader() && section.startsWith(line.word()));
    }

    /** The same one found twice, by the server and by a backend that knows the key as well, is one. */
    void problem(TomlPosition position, String message) {
        int line = position == null ? 1 : position.line();
        int column = position == null ? 1 : position.column();
        problems.add(new Problem(name, line, column, message));
    }

    /** At a variable of the environment. */
    void problem(String variable, String message) {
        problems.add(new Problem(variable, 0, 0, message));
    }

    Environment environment() {
        return environment;
    }

    Section root() {
        return root;
    }

    Section section(String path, String variable, TomlTable table, TomlPosition start) {
        Section section = new Section(this, path, variable, table, start);
        sections.add(section);
        return section;
    }

    /** The section that would know a key, for one that stands in another. */
    Optional<Section> sectionWith(String key) {
        return sections.stream()
                .filter(section -> section != root && section.knows(key))
                .findFirst();
    }

    /** Reports the unknown keys of all sections that are read to their end, and throws all problems if there are any. */
    void finish() throws ConfigException {
        sections.forEach(Section::reportUnknown);
        reportVariables();
        if (!problems.isEmpty()) {
            throw new ConfigException(List.copyOf(problems));
        }
    }

    /** Variables that mean nothing, or more than one thing. */
    private void reportVariables() {
        Map<String, Set<String>> known = new TreeMap<>();
        for (Section section : sections) {
            section.variables()
                    .forEach((variable, key) -> known.computeIfAbsent(variable, any -> new TreeSet<>())
                            .add(key));
        }
        for (String variable : new TreeSet<>(environment.names())) {
            Set<String> keys = known.getOrDefault(variable, Set.of());
            if (keys.size() > 1) {
                problem(variable, "may mean " + String.join(" or ", keys) + "; rename one of them, or write it there");
            } else if (keys.isEmpty() && !isOfUnreadSection(variable)) {
                problem(
                        variable,
                        "no setting has this variable; "
                                + Suggestion.of(variable, known.keySet())
                                        .map(near -> "did you mean " + near + "?")
                                        .orElse("a key of a section has FARSIGHT_SECTION_KEY, such as "
                                                + known.keySet().iterator().next()));
            }
        }
    }

    /** What a section would have known, had it been read to its end, was not asked. */
    private boolean isOfUnreadSection(String variable) {
        return sections.stream()
                .anyMatch(section ->
                        section != root && !section.isComplete() && variable.startsWith(section.variable() + "_"));
    }
}

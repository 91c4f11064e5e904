package farsight.config;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.tomlj.Toml;
import org.tomlj.TomlParseError;
import org.tomlj.TomlParseResult;

/** A parsed file and the problems found in it so far. */
final class TomlFile {
    private final List<Problem> problems = new ArrayList<>();
    private final Section root;

    private TomlFile(String name, TomlParseResult parsed) {
        root = new Section(name, "", parsed, null, problems);
        for (TomlParseError error : parsed.errors()) {
            root.problem(error.position(), "not valid TOML: " + firstLine(error.getMessage()));
        }
    }

    /** @throws IOException one line, when the file cannot be read at all */
    static TomlFile read(Path path) throws IOException {
        String text;
        try {
            text = Files.readString(path);
        } catch (NoSuchFileException e) {
            throw new ConfigException(path + ": no such file");
        } catch (AccessDeniedException e) {
            throw new ConfigException(path + ": permission denied");
        } catch (CharacterCodingException e) {
            throw new ConfigException(path + ": not UTF-8, which TOML has to be");
        } catch (IOException e) {
            throw new ConfigException(path + ": cannot be read: " + e.getMessage());
        }
        return parse(path.toString(), text);
    }

    static TomlFile parse(String name, String text) {
        return new TomlFile(name, Toml.parse(text));
    }

    private static String firstLine(String text) {
        return text.lines().findFirst().orElse("");
    }

    Section root() {
        return root;
    }

    /** Throws all problems, if there are any. */
    void finish() throws ConfigException {
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }
}

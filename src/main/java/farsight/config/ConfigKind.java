package farsight.config;

import java.io.IOException;
import java.nio.file.Path;

/** Whose configuration a file is. */
public enum ConfigKind {
    SERVER,
    CLIENT;

    /**
     * Told by the sections that only one of them has; when there is none of these, a server's, which may be empty.
     *
     * @throws IOException one line, when the file cannot be read
     */
    public static ConfigKind of(Path path) throws IOException {
        Section root = TomlFile.read(path, Environment.EMPTY).root();
        boolean client = root.table("backend").isPresent() || root.table("nbd").isPresent();
        return client && !root.table("exports").isPresent() ? CLIENT : SERVER;
    }
}

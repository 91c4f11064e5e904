package farsight.tools;

import java.nio.file.Files;
import java.nio.file.Path;

/** Where the project's own things lie, whatever the current directory of the tests is. */
public final class Project {
    /** The project's folder. */
    public static final Path ROOT =
            Path.of(System.getProperty("farsight.project", "")).toAbsolutePath();

    private static final Path LAUNCHER = Path.of(System.getProperty("farsight.home", ROOT + "/target/farsight"))
            .resolve("bin/farsight");

    private Project() {}

    /** The packaged program's launcher, required as {@link Requires} says. */
    public static Path launcher() {
        Requires.that(Files.isExecutable(LAUNCHER), LAUNCHER.toString(), "mvn package");
        return LAUNCHER;
    }

    /** A tool or script of {@code src/test/tools}. */
    public static Path testTool(String name) {
        return ROOT.resolve("src/test/tools").resolve(name);
    }
}

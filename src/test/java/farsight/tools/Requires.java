package farsight.tools;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/**
 * What a test needs of this machine. What is missing skips the test with a message that names the remedy; with
 * {@code FARSIGHT_REQUIRE_ALL=1} in the environment, as in CI, it fails the test instead, so that nothing is
 * skipped unseen.
 */
public final class Requires {
    /** What a plain user's PATH leaves out, and where mkfs.ext4 or nbd-client lie. */
    private static final String SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";

    private static final boolean ALL = "1".equals(System.getenv("FARSIGHT_REQUIRE_ALL"));

    private Requires() {}

    /**
     * Requires an external program, found on PATH or in the system's folders.
     *
     * @param debianPackage the package that brings it, for the message
     * @return where it lies, for callers whose PATH may be without it
     */
    public static Path tool(String name, String debianPackage) {
        Optional<Path> found = find(name);
        that(found.isPresent(), "the program " + name, "apt-get install " + debianPackage);
        return found.orElseThrow();
    }

    /** Requires that the test runs as root. */
    public static void root() {
        that(isRoot(), "root", "run this test as root");
    }

    /**
     * Requires anything else.
     *
     * @param what what is needed, to follow "needs"
     * @param remedy what a person can do about it
     */
    public static void that(boolean present, String what, String remedy) {
        that(present, what, remedy, ALL);
    }

    static void that(boolean present, String what, String remedy, boolean all) {
        if (present) {
            return;
        }
        String message = "needs " + what + ": " + remedy;
        if (all) {
            Assertions.fail(message + " (FARSIGHT_REQUIRE_ALL=1 lets nothing be skipped)");
        }
        Assumptions.abort(message);
    }

    /** Where a program lies, if it is installed. */
    public static Optional<Path> find(String name) {
        String path = System.getenv().getOrDefault("PATH", "") + ":" + SYSTEM_FOLDERS;
        return Stream.of(path.split(":"))
                .filter(folder -> !folder.isEmpty())
                .map(folder -> Path.of(folder, name))
                .filter(Files::isExecutable)
                .findFirst();
    }

    private static boolean isRoot() {
        try {
            return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
        } catch (IOException e) {
            return false;
        }
    }
}

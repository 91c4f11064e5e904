import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Makes the archive that the launcher starts with: {@code StartupArchive HOME}, run by the Java that it is for. What the
 * launcher then finds loaded and linked is what {@code farsight rehearse} used. The start does not depend on it, so that
 * a Java that cannot make one is no reason for a build to fail.
 */
final class StartupArchive {
    private static final int FEATURE = Runtime.version().feature();

    private StartupArchive() {}

    public static void main(String[] arguments) throws Exception {
        Path lib = Path.of(arguments[0], "lib").toAbsolutePath();
        Path launcher = Path.of(arguments[0], "bin", "farsight").toAbsolutePath();
        Path archive = lib.resolve(FEATURE >= 24 ? "farsight.aot" : "farsight.jsa");
        Path configuration = lib.resolve("farsight.aotconf");
        Files.deleteIfExists(lib.resolve("farsight.aot"));
        Files.deleteIfExists(lib.resolve("farsight.jsa"));
        boolean made;
        if (FEATURE >= 25) {
            made = run(launcher, "-XX:AOTCacheOutput=" + archive, "rehearse");
        } else if (FEATURE == 24) {
            made = run(launcher, "-XX:AOTMode=record -XX:AOTConfiguration=" + configuration, "rehearse")
                    && run(
                            launcher,
                            "-XX:AOTMode=create -XX:AOTConfiguration=" + configuration + " -XX:AOTCache=" + archive);
        } else {
            made = run(launcher, "-XX:ArchiveClassesAtExit=" + archive, "rehearse");
        }
        Files.deleteIfExists(configuration);
        if (!made || !Files.exists(archive)) {
            Files.deleteIfExists(archive);
            System.err.println("No start-up archive: farsight will start, but more slowly");
        }
    }

    /** Whether the launcher ended well; what it printed is of interest only when it did not. */
    private static boolean run(Path launcher, String options, String... words)
            throws IOException, InterruptedException {
        if (launcher.toString().contains(" ")) {
            System.err.println("The path of the project contains a space, which options of the launcher cannot");
            return false;
        }
        List<String> command = new ArrayList<>(List.of("/bin/sh", launcher.toString()));
        command.addAll(List.of(words));
        File output = File.createTempFile("farsight-rehearsal", ".log");
        try {
            ProcessBuilder rehearsal =
                    new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output);
            rehearsal.environment().put("FARSIGHT_JAVA_HOME", System.getProperty("java.home"));
            rehearsal.environment().put("FARSIGHT_JAVA_OPTS", options);
            rehearsal.environment().remove("JAVA_TOOL_OPTIONS");
            rehearsal.environment().remove("JDK_JAVA_OPTIONS");
            if (rehearsal.start().waitFor() == 0) {
                return true;
            }
            System.err.print(Files.readString(output.toPath()));
            return false;
        } finally {
            output.delete();
        }
    }
}

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Makes the archive of classes that the launcher starts with: {@code StartupArchive HOME}, run by the Java that it is
 * for, unless HOME has one of its own. The classes are those that {@code farsight rehearse} used. Of the same classes
 * comes the same archive, byte for byte. Plain clients have others, of what {@code farsight rehearse-client}
 * used against a server: all their classes are linked, and their calls, constants and lambdas too (JEP 483), which spares
 * more than a quarter of such a start as long as there is little that is not needed. No start depends on any, so that a Java that
 * cannot make them fails no build.
 */
final class StartupArchive {
    private static final int FIRST_THAT_LINKS = 25;
    private static final int LIMIT_SECONDS = 60;
    private static final int IMAGE_BYTES = 1 << 20;

    private StartupArchive() {}

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath().normalize();
        Path archive = home.resolve("lib/farsight.jsa");
        Path work = Files.createTempDirectory("farsight-archive");
        Path classes = work.resolve("classes");
        Path made = work.resolve("farsight.jsa");
        Files.deleteIfExists(archive);
        TreeSet<String> all = ofProgram(home);
        // What one run leaves out by chance another one has.
        boolean rehearsed = true;
        for (int i = 0; i < 2 && rehearsed; i++) {
            rehearsed = run(home, "-Xshare:off -XX:DumpLoadedClassList=" + classes, "rehearse");
            if (rehearsed) {
                addLasting(classes, all);
            }
        }
        if (rehearsed) {
            Files.write(classes, all);
            if (run(home, "-Xshare:dump -XX:SharedClassListFile=" + classes + " -XX:SharedArchiveFile=" + made)) {
                Files.copy(made, archive);
            }
        }
        delete(work);
        if (!Files.exists(archive)) {
            System.err.println("No start-up archive: farsight will start, but more slowly");
        }
        clientArchives(home, archive);
    }

    private static void clientArchives(Path home, Path all) throws IOException, InterruptedException {
        Path readers = home.resolve("lib/readers.jsa");
        Path writers = home.resolve("lib/writers.jsa");
        Files.deleteIfExists(readers);
        Files.deleteIfExists(writers);
        if (Runtime.version().feature() < FIRST_THAT_LINKS) {
            return;
        }
        Path work = Files.createTempDirectory("farsight-archive");
        Path socket = work.resolve("socket");
        File output = work.resolve("server.log").toFile();
        Process server = launcher(home, "", "server", "--listen", "unix:" + socket, "--export", "disk=memory:1MiB")
                .redirectErrorStream(true)
                .redirectOutput(output)
                .start();
        try {
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
            while (!Files.exists(socket) && server.isAlive() && System.nanoTime() < deadline) {
                Thread.sleep(10);
            }
            Files.write(work.resolve("image"), new byte[IMAGE_BYTES]);
            String uri = "nbd+unix:///disk?socket=" + socket;
            if (!Files.exists(socket)
                    || !clientArchive(home, all, readers, work, "reader", uri)
                    || !clientArchive(home, all, writers, work, "writer", uri)) {
                System.err.print(Files.readString(output.toPath()));
                System.err.println("No archive for clients: they will start, but more slowly");
            }
        } finally {
            server.destroy();
            server.waitFor();
            delete(work);
        }
    }

    /** The classes are recorded with the other archive, which spares those that are only needed where there is none. */
    private static boolean clientArchive(Path home, Path all, Path archive, Path work, String role, String uri)
            throws IOException, InterruptedException {
        Path classes = work.resolve(role + ".classes");
        Path made = work.resolve(archive.getFileName());
        String record = "-XX:SharedArchiveFile=" + all + " -XX:DumpLoadedClassList=" + classes;
        String dump = "-Xshare:dump -XX:+AOTClassLinking -XX:SharedClassListFile=" + classes + " -XX:SharedArchiveFile="
                + made;
        String image = work.resolve("image").toString();
        if (!run(home, record, "rehearse-client", role, uri, image) || !run(home, dump)) {
            return false;
        }
        Files.copy(made, archive);
        return true;
    }

    private static void delete(Path work) throws IOException {
        try (Stream<Path> files = Files.walk(work)) {
            files.sorted((a, b) -> b.compareTo(a)).forEach(file -> file.toFile().delete());
        }
    }

    /** Every class of the program: which of them a run comes to use may be chance. */
    private static TreeSet<String> ofProgram(Path home) throws IOException {
        Path runtime = home.resolve("runtime");
        if (Files.isDirectory(runtime)) {
            Map<String, String> java = Map.of("java.home", runtime.toString());
            try (FileSystem modules = FileSystems.newFileSystem(URI.create("jrt:/"), java)) {
                return ofProgram(modules, "/modules/farsight");
            }
        }
        try (FileSystem jar = FileSystems.newFileSystem(home.resolve("lib/farsight.jar"))) {
            return ofProgram(jar, "/");
        }
    }

    private static TreeSet<String> ofProgram(FileSystem files, String root) throws IOException {
        Path top = files.getPath(root);
        try (Stream<Path> all = Files.walk(top)) {
            return all.map(file -> top.relativize(file).toString())
                    .filter(name -> name.startsWith("farsight/") && name.endsWith(".class"))
                    .filter(name -> !name.startsWith("farsight/bindings/") && !name.endsWith("-info.class"))
                    .map(name -> name.substring(0, name.length() - ".class".length()))
                    .collect(Collectors.toCollection(TreeSet::new));
        }
    }

    /** What is the same in every run: neither the order in which threads came to their classes, nor what they resolved. */
    private static void addLasting(Path classes, TreeSet<String> all) throws IOException {
        try (Stream<String> lines = Files.lines(classes)) {
            lines.filter(line -> !line.startsWith("#") && !line.startsWith("@cp "))
                    .map(line -> line.replaceFirst(" id: \\d+$", ""))
                    .forEach(all::add);
        }
    }

    /** Whether the launcher ended well; what it printed is of interest only when it did not. */
    private static boolean run(Path home, String options, String... words) throws IOException, InterruptedException {
        File output = File.createTempFile("farsight-archive", ".log");
        try {
            ProcessBuilder process =
                    launcher(home, options, words).redirectErrorStream(true).redirectOutput(output);
            if (process.start().waitFor() == 0) {
                return true;
            }
            System.err.print(Files.readString(output.toPath()));
            return false;
        } finally {
            output.delete();
        }
    }

    private static ProcessBuilder launcher(Path home, String options, String... words) {
        List<String> command =
                new ArrayList<>(List.of("/bin/sh", home.resolve("bin/farsight").toString()));
        command.addAll(List.of(words));
        ProcessBuilder process = new ProcessBuilder(command);
        // Which classes are used depends on the locale; so that is always the same.
        process.environment().clear();
        process.environment().put("PATH", "/usr/bin:/bin");
        process.environment().put("LC_ALL", "C.UTF-8");
        process.environment().put("FARSIGHT_JAVA_HOME", System.getProperty("java.home"));
        process.environment().put("FARSIGHT_JAVA_OPTS", options);
        return process;
    }
}

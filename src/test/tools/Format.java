import com.palantir.javaformat.java.Formatter;
import com.palantir.javaformat.java.FormatterException;
import com.palantir.javaformat.java.JavaFormatterOptions;
import com.palantir.javaformat.java.JavaFormatterOptions.Style;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.stream.Stream;

/**
 * The project's one formatter: {@code Format check|write DIRECTORY...}. Files that were found well are remembered by
 * time and size below target/, so that a build without changes does not look at them again.
 */
final class Format {
    private static final Path SEEN = Path.of("target", "formatted.properties");

    private Format() {}

    public static void main(String[] arguments) throws Exception {
        boolean write = arguments[0].equals("write");
        Formatter formatter = Formatter.createFormatter(
                JavaFormatterOptions.builder().style(Style.PALANTIR).build());
        Properties seen = new Properties();
        if (Files.exists(SEEN)) {
            try (var in = Files.newBufferedReader(SEEN)) {
                seen.load(in);
            }
        }
        List<Path> wrong = new ArrayList<>();
        for (Path file : files(Arrays.asList(arguments).subList(1, arguments.length))) {
            String stamp = stamp(file);
            if (stamp.equals(seen.getProperty(file.toString()))) {
                continue;
            }
            String source = Files.readString(file);
            String formatted;
            try {
                formatted = formatter.formatSourceAndFixImports(source);
                // Text blocks can take a second pass to come to rest.
                String again = formatter.formatSourceAndFixImports(formatted);
                while (write && !again.equals(formatted)) {
                    formatted = again;
                    again = formatter.formatSourceAndFixImports(formatted);
                }
            } catch (FormatterException e) {
                System.err.println("cannot be parsed: " + file + ": " + e.getMessage());
                System.exit(1);
                return;
            }
            if (formatted.equals(source)) {
                seen.setProperty(file.toString(), stamp);
            } else if (write) {
                Files.writeString(file, formatted);
                seen.setProperty(file.toString(), stamp(file));
            } else {
                wrong.add(file);
            }
        }
        Files.createDirectories(SEEN.getParent());
        try (var out = Files.newBufferedWriter(SEEN)) {
            seen.store(out, null);
        }
        if (!wrong.isEmpty()) {
            wrong.forEach(file -> System.err.println("not formatted: " + file));
            System.err.println("mend with: mvn -q -Pformat process-sources");
            System.exit(1);
        }
    }

    private static List<Path> files(List<String> directories) throws IOException {
        List<Path> files = new ArrayList<>();
        for (String directory : directories) {
            if (Files.isDirectory(Path.of(directory))) {
                try (Stream<Path> all = Files.walk(Path.of(directory))) {
                    all.filter(path -> path.toString().endsWith(".java")
                                    && !path.toString().contains("/target/"))
                            .sorted()
                            .forEach(files::add);
                }
            }
        }
        return files;
    }

    private static String stamp(Path file) throws IOException {
        return Files.getLastModifiedTime(file).toMillis() + ":" + Files.size(file);
    }
}

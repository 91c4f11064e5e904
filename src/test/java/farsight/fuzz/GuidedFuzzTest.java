package farsight.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Jazzer looks for bytes that do harm: what clients say to the server, what servers say to the client. It begins with
 * the corpus in {@code src/test/fuzz} and what earlier runs left in {@code target}. {@code mvn -Pfuzz verify} gives each ten
 * minutes. A finding is named in the failure; it belongs into the corpus.
 */
class GuidedFuzzTest {
    private static final long SECONDS = Long.getLong("farsight.fuzz.guided.seconds", 60);

    /** What it takes to be started, look at the corpus, and end. */
    private static final Duration BESIDES = Duration.ofMinutes(5);

    private static final Pattern DONE = Pattern.compile("Done (\\d+) runs in");

    @ParameterizedTest
    @CsvSource({
        "server, farsight.server.ServerFuzz, farsight.server.**:farsight.protocol.**:farsight.loop.**",
        "client, farsight.client.ClientFuzz, farsight.client.**:farsight.protocol.**"
    })
    void noBytesDoHarm(String name, String target, String instrumented) throws IOException {
        Path found = Files.createDirectories(Project.ROOT.resolve("target/fuzz").resolve(name));
        String said = Commands.command(
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-Xmx1g",
                        "-ea",
                        "-classpath",
                        classpath(),
                        "com.code_intelligence.jazzer.Jazzer",
                        "--target_class=" + target,
                        "--instrumentation_includes=" + instrumented,
                        "-max_total_time=" + SECONDS,
                        "-max_len=8192",
                        "-timeout=60",
                        "-rss_limit_mb=0",
                        "-artifact_prefix=" + found.getParent() + "/" + name + "-",
                        found.toString(),
                        Project.ROOT.resolve("src/test/fuzz").resolve(name).toString())
                .directory(found)
                .limit(BESIDES.plusSeconds(SECONDS))
                .run()
                .expectSuccess()
                .stderr();
        Matcher done = DONE.matcher(said);
        assertThat(done.find()).as(said).isTrue();
        // It would end well, too, if it had found nothing to guide it.
        assertThat(said).contains("cov: ");
        assertThat(Long.parseLong(done.group(1))).isGreaterThan(1000);
    }

    /** As the test's own, but without modules, which the fuzzer knows nothing of. */
    private static String classpath() {
        List<String> places = List.of(
                Project.ROOT.resolve("target/classes").toString(),
                Project.ROOT.resolve("target/test-classes").toString(),
                System.getProperty("jdk.module.path", ""),
                System.getProperty("java.class.path"));
        return String.join(File.pathSeparator, places);
    }
}

package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The packaged server's figures, as a scraper reads them. */
class MetricsTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final Pattern HEAD = Pattern.compile("# (HELP|TYPE) ([a-z_]+) (.+)");
    private static final Pattern SAMPLE =
            Pattern.compile("([a-z_]+)(\\{(?:[a-z]+=\"(?:[^\"\\\\\\n]|\\\\[\\\\\"n])*\",?)+\\})? ([0-9.Ee+-]+)");

    /** Reads, writes and is refused, a known number of times. */
    private static final String CLIENT = """
        import nbd, sys
        h = nbd.NBD()
        h.set_strict_mode(0)
        h.connect_uri(sys.argv[1])
        for i in range(10): h.pwrite(bytes(4096), i * 4096)
        for i in range(7): h.pread(8192, i * 8192)
        h.flush()
        try:
            h.pread(4096, 1 << 40)
        except nbd.Error:
            pass
        h.shutdown()
        """;

    @TempDir
    Path folder;

    private record Answer(int status, String type, String body) {}

    private static Answer get(String base, String path) throws IOException {
        HttpURLConnection connection =
                (HttpURLConnection) URI.create(base + path).toURL().openConnection();
        connection.setConnectTimeout((int) LIMIT.toMillis());
        connection.setReadTimeout((int) LIMIT.toMillis());
        int status = connection.getResponseCode();
        try (InputStream in = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            return new Answer(
                    status, connection.getContentType(), new String(in.readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    /** By name and labels; each line has to follow the format, each sample its family's head. */
    private static Map<String, Double> parse(String text) {
        assertThat(text).endsWith("\n");
        Map<String, Double> samples = new HashMap<>();
        Set<String> families = new HashSet<>();
        String family = "";
        String type = "";
        for (String line : text.split("\n")) {
            Matcher head = HEAD.matcher(line);
            if (head.matches()) {
                if (head.group(1).equals("HELP")) {
                    family = head.group(2);
                    assertThat(families.add(family)).as("twice: " + family).isTrue();
                } else {
                    assertThat(head.group(2)).isEqualTo(family);
                    type = head.group(3);
                    assertThat(type).isIn("counter", "gauge", "histogram");
                    assertThat(type.equals("counter")).as(line).isEqualTo(family.endsWith("_total"));
                }
                continue;
            }
            Matcher sample = SAMPLE.matcher(line);
            assertThat(sample.matches() || line.contains("le=\"+Inf\""))
                    .as(line)
                    .isTrue();
            assertThat(sample.group(1)).matches(family + (type.equals("histogram") ? "_(bucket|sum|count)" : ""));
            String key = line.substring(0, line.lastIndexOf(' '));
            assertThat(samples.put(key, Double.parseDouble(sample.group(3))))
                    .as("twice: " + key)
                    .isNull();
        }
        return samples;
    }

    @Test
    void whatClientsAskedIsCounted() throws IOException {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        Path file = folder.resolve("server.toml");
        Files.writeString(file, """
            [server]
            unix = "%s"
            metrics = "127.0.0.1:0"
            [exports."a \\"b\\" \\\\"]
            backend = "memory"
            size = "1MiB"
            """.formatted(folder.resolve("nbd")));
        try (RunningCommand server = Commands.command(Project.launcher().toString(), "server", file.toString())
                .start()) {
            String base = server.awaitStderr(Pattern.compile("metrics on (http://127.0.0.1:\\d+)/metrics\\n"), LIMIT)
                    .group(1);
            server.awaitStdout(Pattern.compile("serving nbd"), LIMIT);
            assertThat(get(base, "/healthz").body()).isEqualTo("ok\n");
            assertThat(get(base, "/readyz").status()).isEqualTo(200);
            assertThat(get(base, "/none").status()).isEqualTo(404);
            parse(get(base, "/metrics").body());
            Commands.command("/usr/bin/python3", "-c", CLIENT, "nbd+unix:///?socket=" + folder.resolve("nbd"))
                    .run()
                    .expectSuccess();
            Answer answer = get(base, "/metrics");
            assertThat(answer.type()).startsWith("text/plain; version=0.0.4");
            Map<String, Double> samples = parse(answer.body());
            String export = "{export=\"a \\\"b\\\" \\\\\",command=";
            assertThat(samples)
                    .containsEntry("farsight_export_requests_total" + export + "\"write\"}", 10.0)
                    .containsEntry("farsight_export_bytes_total" + export + "\"write\"}", 40960.0)
                    .containsEntry("farsight_export_requests_total" + export + "\"read\"}", 8.0)
                    .containsEntry("farsight_export_errors_total" + export + "\"read\"}", 1.0)
                    .containsEntry("farsight_export_bytes_total" + export + "\"read\"}", 7.0 * 8192)
                    .containsEntry("farsight_export_requests_total" + export + "\"flush\"}", 1.0)
                    .containsEntry("farsight_export_request_seconds_count" + export + "\"read\"}", 8.0)
                    .containsEntry("farsight_export_request_seconds_bucket" + export + "\"read\",le=\"+Inf\"}", 8.0)
                    .containsKey("farsight_loop_stalls_total{loop=\"0\"}")
                    .containsEntry("farsight_connections_accepted_total", 1.0)
                    .containsEntry("farsight_responsive", 1.0);
            // What is memory answers at once, so that all of the time is that of the replies and of sending them.
            String stage = "farsight_export_stage_seconds_total" + export.replace("command=", "stage=");
            assertThat(samples.get(stage + "\"reply\"}")).isPositive();
            assertThat(samples.get(stage + "\"send\"}")).isPositive();
            assertThat(samples).containsEntry(stage + "\"storage\"}", 0.0);
            double before = 0;
            for (int i = 0; i < 21; i++) {
                String bucket = "farsight_export_request_seconds_bucket" + export + "\"read\",le=\""
                        + (16_000L << i) / 1e9 + "\"}";
                assertThat(samples).containsKey(bucket);
                assertThat(samples.get(bucket)).isBetween(before, 8.0);
                before = samples.get(bucket);
            }
        }
    }
}

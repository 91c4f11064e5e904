package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The page that a server shows to people, in a real browser. */
class StatusPageTest {
    private static final Duration LIMIT = Duration.ofSeconds(90);

    /** A name that would be markup if it were not taken for text. */
    private static final String HOSTILE = "<img src=x onerror=document.title='owned'>";

    /** What the graph of the light page draws reads with. */
    private static final int READ_COLOUR = 0x2f6fde;

    @TempDir
    Path folder;

    @Test
    void thePageShowsLiveFigures() throws IOException {
        Requires.tool("chromium", "chromium");
        Requires.tool("fio", "fio");
        Path socket = folder.resolve("nbd");
        Path file = folder.resolve("server.toml");
        Files.writeString(file, """
            [server]
            unix = "%s"
            metrics = "127.0.0.1:0"
            [exports.disk]
            backend = "memory"
            size = "64MiB"
            [exports."%s"]
            backend = "memory"
            size = "1MiB"
            """.formatted(socket, HOSTILE));
        try (RunningCommand server = Commands.command(Project.launcher().toString(), "server", file.toString())
                .start()) {
            String base = server.awaitStderr(Pattern.compile("metrics on (http://127.0.0.1:\\d+)/metrics\\n"), LIMIT)
                    .group(1);
            server.awaitStdout(Pattern.compile("serving nbd"), LIMIT);
            expectLockedDown(base);
            try (RunningCommand load = load(socket)) {
                awaitLoad(base);
                expectFigures(dump(base));
                expectGraph(base);
                assertThat(ProcessHandle.of(load.pid()))
                        .as("the load lasted as long as the browser")
                        .isPresent();
            }
        }
    }

    private static void expectLockedDown(String base) throws IOException {
        HttpURLConnection page =
                (HttpURLConnection) URI.create(base + "/").toURL().openConnection();
        assertThat(page.getResponseCode()).isEqualTo(200);
        assertThat(page.getContentType()).isEqualTo("text/html; charset=utf-8");
        assertThat(page.getHeaderField("Content-Security-Policy")).startsWith("default-src 'none';");
        assertThat(new String(page.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                .doesNotContain("http://", "https://");
    }

    private RunningCommand load(Path socket) throws IOException {
        return Commands.command(
                        "fio",
                        "--name=load",
                        "--ioengine=nbd",
                        "--uri=nbd+unix:///disk?socket=" + socket,
                        "--rw=randrw",
                        "--rwmixread=70",
                        "--bs=64k",
                        "--iodepth=4",
                        "--size=64m",
                        "--rate=40m,20m",
                        "--time_based",
                        "--runtime=" + LIMIT.toSeconds())
                .start();
    }

    private static void awaitLoad(String base) throws IOException {
        long end = System.nanoTime() + LIMIT.toNanos();
        String status;
        do {
            assertThat(System.nanoTime() - end).as("the load began in time").isNegative();
            URI address = URI.create(base + "/status.json");
            status = new String(address.toURL().openStream().readAllBytes(), StandardCharsets.UTF_8);
        } while (!status.contains("\"write\":{\"requests\":") || !status.contains("\"read\":{\"requests\":"));
    }

    /** The page as it is after some looks; looked at again when the last of them fell into a pause of the load. */
    private String dump(String base) throws IOException {
        String page;
        int left = 5;
        do {
            page = chromium("--dump-dom", base + "/").expectSuccess().stdout();
        } while (--left > 0
                && (text(page, "read-now").equals("0 B/s")
                        || text(page, "write-now").equals("0 B/s")));
        return page;
    }

    private Commands.Result chromium(String... words) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--window-size=1100,1000",
                "--virtual-time-budget=12000",
                "--user-data-dir=" + Files.createTempDirectory(folder, "profile")));
        command.addAll(List.of(words));
        return Commands.command(command).limit(LIMIT).run();
    }

    private static void expectFigures(String page) {
        assertThat(text(page, "state")).isEqualTo("serving");
        assertThat(text(page, "clients-now")).isEqualTo("1");
        assertThat(text(page, "read-now")).matches("[0-9.]+ [KMG]iB/s");
        assertThat(text(page, "write-now")).matches("[0-9.]+ [KMG]iB/s");
        assertThat(text(page, "iops-now")).matches("[1-9][0-9,]*");
        assertThat(page).contains("<td>disk</td><td>64.0 MiB</td><td>1</td>");
        assertThat(page).contains("<td>unix</td><td>disk</td><td>no</td>");
        assertThat(page).contains("<td>disk</td><td>read</td>").contains("<td>disk</td><td>write</td>");
        // The name is there, as text, and did nothing.
        assertThat(page)
                .contains("&lt;img src=x onerror=")
                .doesNotContain("<img")
                .contains("<title>Farsight</title>");
    }

    private static String text(String page, String id) {
        Matcher matcher = Pattern.compile("id=\"" + id + "\"[^>]*>([^<]*)<").matcher(page);
        assertThat(matcher.find()).as(id).isTrue();
        return matcher.group(1);
    }

    private void expectGraph(String base) throws IOException {
        Path shot = folder.resolve("page.png");
        chromium("--screenshot=" + shot, base + "/").expectSuccess();
        BufferedImage image = ImageIO.read(shot.toFile());
        // One look a second for most of the budget's twelve, each 8 pixels further; edges of a slanting line are paler.
        int columns = 0;
        for (int x = image.getWidth() / 2; x < image.getWidth(); x++) {
            for (int y = 0; y < image.getHeight(); y++) {
                if (resembles(image.getRGB(x, y), READ_COLOUR)) {
                    columns++;
                    break;
                }
            }
        }
        assertThat(columns).as("columns of the reads' line").isBetween(40, 200);
        if (System.getProperty("farsight.keep") != null) {
            Files.copy(shot, Path.of(System.getProperty("farsight.keep")));
        }
    }

    /** Whether the line was drawn here: a pixel that it covers by three quarters at least. */
    private static boolean resembles(int pixel, int colour) {
        for (int shift = 0; shift < 24; shift += 8) {
            if (Math.abs((pixel >> shift & 0xff) - (colour >> shift & 0xff)) > 52) {
                return false;
            }
        }
        return true;
    }
}

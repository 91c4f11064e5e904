package farsight.backend.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import farsight.backend.BlockDevice;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Settings;
import farsight.tls.Credentials;
import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import farsight.tools.TestAuthority;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLParameters;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Web servers over TLS: those that prove who they are, and those that nothing is read from. */
class HttpsTest {
    private static final Instant TOMORROW = Instant.now().plus(Duration.ofDays(1));
    private static final Instant YESTERDAY = Instant.now().minus(Duration.ofDays(1));
    private static final Pattern RANGE = Pattern.compile("bytes=(\\d+)-(\\d+)");
    private static final TestAuthority AUTHORITY = new TestAuthority("the authority");
    private static final int SIZE = 1 << 20;

    @TempDir
    Path directory;

    private final byte[] content = new byte[SIZE];
    private final AtomicInteger requests = new AtomicInteger();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private HttpsServer server;

    @AfterEach
    void stop() {
        if (server != null) {
            server.stop(0);
        }
        threads.shutdown();
    }

    /** A server whose certificate is for some hosts until some time. */
    private void serve(boolean asksClients, Instant until, String... hosts) throws IOException {
        new Random(5).nextBytes(content);
        Path own = AUTHORITY.issue(AUTHORITY.trustedIn(directory.resolve("own")), "server", "server", until, hosts);
        server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(Credentials.server(own, asksClients)) {
            @Override
            public void configure(HttpsParameters parameters) {
                SSLParameters wanted = getSSLContext().getDefaultSSLParameters();
                wanted.setNeedClientAuth(asksClients);
                parameters.setSSLParameters(wanted);
            }
        });
        server.createContext("/disk", this::answer);
        server.setExecutor(threads);
        server.start();
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            requests.incrementAndGet();
            Matcher range = RANGE.matcher(exchange.getRequestHeaders().getFirst("Range"));
            assertThat(range.matches()).isTrue();
            int from = Integer.parseInt(range.group(1));
            byte[] bytes = Arrays.copyOfRange(content, from, Integer.parseInt(range.group(2)) + 1);
            String place = "bytes " + from + "-" + (from + bytes.length - 1) + "/" + SIZE;
            exchange.getResponseHeaders().set("Content-Range", place);
            exchange.sendResponseHeaders(206, bytes.length);
            exchange.getResponseBody().write(bytes);
        }
    }

    private Path trusting() throws IOException {
        return AUTHORITY.trustedIn(directory.resolve("trusting"));
    }

    private String url(String host) {
        return "https://" + host + ":" + server.getAddress().getPort() + "/disk";
    }

    private static Device connect(String url, Path certificates) throws IOException {
        Map<String, Object> settings = new HashMap<>(Map.of("url", url));
        if (certificates != null) {
            settings.put("tls_certificates", certificates.toString());
        }
        return new HttpProvider().configure(Settings.NONE).open(new Settings(settings));
    }

    private void isRead(String host, Path certificates) throws IOException {
        try (BlockDevice device = (BlockDevice) connect(url(host), certificates);
                Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(70_000);
            device.read(memory, 12345);
            assertThat(device.size()).isEqualTo(SIZE);
            assertThat(memory.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(Arrays.copyOfRange(content, 12345, 82345));
        }
    }

    /** Nothing is asked of such a server, so that it learns no headers either. */
    private void isNotBelieved(String host, Path certificates, String why) {
        assertThatThrownBy(() -> connect(url(host), certificates))
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith(url(host) + ": TLS: the server's certificate")
                .hasMessageContaining(why)
                .message()
                .doesNotContain("\n");
        assertThat(requests).hasValue(0);
    }

    @Test
    void aServerOfAnAuthorityThatIsTrustedIsRead() throws IOException {
        serve(false, TOMORROW, "localhost", "127.0.0.1");
        isRead("localhost", trusting());
        isRead("127.0.0.1", trusting());
    }

    @Test
    void aServerOfAnotherAuthorityIsNotBelieved() throws IOException {
        serve(false, TOMORROW, "localhost");
        Path other = new TestAuthority("another").trustedIn(directory.resolve("another"));
        isNotBelieved("localhost", other, "is signed by none of the authorities that are trusted");
        // Of the same name, which is no proof.
        Path namesake = new TestAuthority("the authority").trustedIn(directory.resolve("namesake"));
        isNotBelieved("localhost", namesake, "Signature does not match");
        isNotBelieved("localhost", null, "tls_certificates names a directory");
    }

    @Test
    void aServerOfAnotherNameIsNotBelieved() throws IOException {
        serve(false, TOMORROW, "disk.example", "127.0.0.2");
        isNotBelieved("localhost", trusting(), "localhost");
        isNotBelieved("127.0.0.1", trusting(), "127.0.0.1");
    }

    @Test
    void aCertificateThatHasEndedIsNotBelieved() throws IOException {
        serve(false, YESTERDAY, "localhost");
        isNotBelieved("localhost", trusting(), "has expired");
    }

    @Test
    void aServerThatAsksIsShownTheClientsCertificate() throws IOException {
        serve(true, TOMORROW, "localhost");
        assertThatThrownBy(() -> connect(url("localhost"), trusting())).isInstanceOf(DeviceException.class);
        assertThat(requests).hasValue(0);
        isRead("localhost", AUTHORITY.issue(trusting(), "client", "client", TOMORROW));
    }

    @Test
    void aDirectoryWithoutAnAuthorityIsSaid() throws IOException {
        serve(false, TOMORROW, "localhost");
        Path empty = Files.createDirectory(directory.resolve("empty"));
        assertThatThrownBy(() -> connect(url("localhost"), empty))
                .isInstanceOf(DeviceException.class)
                .hasMessage(empty.resolve("ca-cert.pem")
                        + ": there is no such file; it says which authority signs the server's certificate");
    }

    // ---- the packaged server -------------------------------------------------------------------------------------

    private Path configuration(Path certificates) throws IOException {
        return Files.writeString(
                directory.resolve("server.toml"), """
                    [server]
                    unix = "%1$s/nbd"
                    [exports.disk]
                    backend = "http"
                    url = "%2$s"
                    tls_certificates = "%3$s"
                    layers = [{ layer = "cache" }, { layer = "overlay", path = "%1$s/cow" }]
                    """.formatted(directory, url("localhost"), certificates));
    }

    @Test
    void thePackagedServerServesItAndCanBeWritten() throws IOException {
        Requires.tool("qemu-io", "qemu-utils");
        Requires.tool("nbdcopy", "libnbd-bin");
        serve(false, TOMORROW, "localhost");
        String program = Project.launcher().toString();
        String uri = "nbd+unix:///disk?socket=" + directory.resolve("nbd");
        Path copy = directory.resolve("copy");
        try (RunningCommand running = Commands.command(
                        program, "server", configuration(trusting()).toString())
                .start()) {
            running.awaitStdout(Pattern.compile("serving nbd"), Duration.ofSeconds(30));
            Commands.command("qemu-io", "-f", "raw", "-c", "write -P 7 100k 3k", "-c", "flush", uri)
                    .run()
                    .expectSuccess();
            Commands.command("nbdcopy", uri, copy.toString()).run().expectSuccess();
        }
        byte[] expected = content.clone();
        Arrays.fill(expected, 100 << 10, 103 << 10, (byte) 7);
        assertThat(Files.readAllBytes(copy)).isEqualTo(expected);
    }

    @Test
    void checkOpenSaysInALineWhatIsWrong() throws IOException {
        serve(false, YESTERDAY, "localhost");
        Commands.Result result = Commands.command(
                        Project.launcher().toString(),
                        "check",
                        "--open",
                        configuration(trusting()).toString())
                .run();
        assertThat(result.exit()).as(result.toString()).isNotZero();
        assertThat(result.stdout() + result.stderr())
                .contains(url("localhost") + ": TLS: the server's certificate has expired")
                .doesNotContain("\tat ");
    }
}

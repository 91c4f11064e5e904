package farsight.backend.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import farsight.backend.BlockDevice;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Settings;
import farsight.tls.Credentials;
import farsight.tools.TestAuthority;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server may name another place: that is gone to, without what was for the first one only. */
class HttpRedirectTest {
    private static final Map<String, String> SECRETS = Map.of("Authorization", "Bearer secret", "X-Key", "secret");

    @TempDir
    Path directory;

    /** What the servers were told, request by request: path, and whose secrets. */
    private final List<String> told = new CopyOnWriteArrayList<>();

    private HttpServer first;
    private HttpServer second;
    private volatile String location;

    @BeforeEach
    void start() throws IOException {
        first = HttpServer.create(loopback(), 0);
        second = HttpServer.create(loopback(), 0);
        serve(first);
        serve(second);
    }

    private static InetSocketAddress loopback() {
        return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    }

    private void serve(HttpServer server) {
        server.createContext("/moved", this::redirect);
        server.createContext("/disk", this::answer);
        server.start();
    }

    @AfterEach
    void stop() {
        first.stop(0);
        second.stop(0);
    }

    private void note(HttpExchange exchange) {
        boolean authorized = exchange.getRequestHeaders().containsKey("Authorization");
        boolean key = exchange.getRequestHeaders().containsKey("X-Key");
        told.add(exchange.getRequestURI().getPath() + " " + authorized + " " + key);
    }

    private void redirect(HttpExchange exchange) throws IOException {
        try (exchange) {
            note(exchange);
            exchange.getResponseHeaders().set("Location", location);
            exchange.sendResponseHeaders(307, -1);
        }
    }

    /** One sector of sevens. */
    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            note(exchange);
            String[] range = exchange.getRequestHeaders()
                    .getFirst("Range")
                    .substring("bytes=".length())
                    .split("-");
            byte[] bytes = new byte[Integer.parseInt(range[1]) - Integer.parseInt(range[0]) + 1];
            java.util.Arrays.fill(bytes, (byte) 7);
            exchange.getResponseHeaders().set("Content-Range", "bytes " + range[0] + "-" + range[1] + "/512");
            exchange.sendResponseHeaders(206, bytes.length);
            exchange.getResponseBody().write(bytes);
        }
    }

    private static String url(HttpServer server, String path) {
        return "http://127.0.0.1:" + server.getAddress().getPort() + path;
    }

    private static Device connect(String url) throws IOException {
        Settings settings = new Settings(Map.of("url", url, "headers", SECRETS));
        return new HttpProvider().configure(Settings.NONE).open(settings);
    }

    private void isRead() throws IOException {
        try (BlockDevice device = (BlockDevice) connect(url(first, "/moved"));
                Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(512);
            device.read(memory, 0);
            assertThat(memory.mismatch(arena.allocate(512).fill((byte) 7))).isEqualTo(-1);
        }
    }

    @Test
    void theSameServerIsToldAllAgain() throws IOException {
        location = "/disk";
        isRead();
        assertThat(told).containsExactly("/moved true true", "/disk true true", "/moved true true", "/disk true true");
    }

    @Test
    void anotherServerIsToldNoSecrets() throws IOException {
        location = url(second, "/disk");
        isRead();
        assertThat(told)
                .containsExactly("/moved true true", "/disk false false", "/moved true true", "/disk false false");
    }

    @Test
    void redirectsHaveAnEnd() {
        location = "/moved";
        assertThatThrownBy(() -> connect(url(first, "/moved")))
                .isInstanceOf(DeviceException.class)
                .hasMessage(url(first, "/moved") + ": more than 5 redirects");
        assertThat(told).hasSize(6);
    }

    @Test
    void onlyWhatIsOfTheWebIsGoneTo() {
        for (String other : List.of("file:///etc/passwd", "ftp://127.0.0.1/disk", "http:disk", "//", "http://a b/")) {
            location = other;
            assertThatThrownBy(() -> connect(url(first, "/moved")))
                    .as(other)
                    .isInstanceOf(DeviceException.class)
                    .hasMessageStartingWith(url(first, "/moved") + ": the server redirects to ");
        }
    }

    @Test
    void fromHttpsNothingGoesToHttp() throws IOException {
        TestAuthority authority = new TestAuthority("the authority");
        Path own = authority.issue(
                authority.trustedIn(directory),
                "server",
                "server",
                Instant.now().plus(Duration.ofDays(1)),
                "127.0.0.1");
        HttpsServer secure = HttpsServer.create(loopback(), 0);
        secure.setHttpsConfigurator(new HttpsConfigurator(Credentials.server(own, false)));
        serve(secure);
        try {
            location = url(second, "/disk");
            String url = url(secure, "/moved").replace("http:", "https:");
            Settings settings = new Settings(Map.of("url", url, "tls_certificates", own.toString()));
            assertThatThrownBy(() -> new HttpProvider().configure(Settings.NONE).open(settings))
                    .hasMessage(url + ": the server redirects to http, which is not followed from https");
            assertThat(told).containsExactly("/moved false false");
        } finally {
            secure.stop(0);
        }
    }
}

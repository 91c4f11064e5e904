package farsight.backend.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import farsight.backend.AsyncBlockDevice;
import farsight.backend.BackendContract;
import farsight.backend.BlockDevice;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.backend.file.FileProvider;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file behind a web server is storage like any other, read-only. */
class HttpDeviceTest extends BackendContract {
    private static final Pattern RANGE = Pattern.compile("bytes=(\\d+)-(\\d+)");

    @TempDir
    Path directory;

    private final AtomicInteger failures = new AtomicInteger();
    private volatile String tag = "\"one\"";
    private volatile boolean ranges = true;
    private AsyncBlockDevice behind;
    private HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    @Override
    protected Device open() throws IOException {
        behind = (AsyncBlockDevice) new FileProvider()
                .configure(Settings.NONE)
                .open(new Settings(Map.of("path", directory.resolve("disk").toString(), "create", true, "size", SIZE)));
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/disk", this::serve);
        server.setExecutor(threads);
        server.start();
        return connect("disk");
    }

    private Device connect(String path) throws IOException {
        String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/" + path;
        return new HttpProvider().configure(Settings.NONE).open(new Settings(Map.of("url", url)));
    }

    @Override
    protected AsyncBlockDevice behind() {
        return behind;
    }

    @AfterEach
    void stop() throws IOException {
        server.stop(0);
        threads.shutdown();
        behind.close();
    }

    private void serve(HttpExchange exchange) throws IOException {
        try (exchange;
                RandomAccessFile file =
                        new RandomAccessFile(directory.resolve("disk").toFile(), "r")) {
            if (failures.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
                exchange.sendResponseHeaders(503, -1);
                return;
            }
            String asked = exchange.getRequestHeaders().getFirst("If-Range");
            Matcher range = RANGE.matcher(exchange.getRequestHeaders().getFirst("Range"));
            exchange.getResponseHeaders().set("ETag", tag);
            if (!ranges || !range.matches() || asked != null && !asked.equals(tag)) {
                exchange.sendResponseHeaders(200, -1);
                return;
            }
            long from = Long.parseLong(range.group(1));
            byte[] bytes = new byte[(int) (Long.parseLong(range.group(2)) - from + 1)];
            file.seek(from);
            file.readFully(bytes);
            exchange.getResponseHeaders()
                    .set("Content-Range", "bytes " + from + "-" + (from + bytes.length - 1) + "/" + file.length());
            exchange.sendResponseHeaders(206, bytes.length);
            exchange.getResponseBody().write(bytes);
        }
    }

    @Test
    void aServerThatIsBusyIsAskedAgain() throws IOException {
        try (BlockDevice device = (BlockDevice) connect("disk");
                Arena arena = Arena.ofConfined()) {
            failures.set(2);
            device.read(arena.allocate(512), 0);
            assertThat(failures).hasValue(0);
            failures.set(3);
            assertThatThrownBy(() -> device.read(arena.allocate(512), 0)).hasMessageContaining("status 503");
        }
    }

    @Test
    void aFileThatChangesIsNotMixed() throws IOException {
        try (BlockDevice device = (BlockDevice) connect("disk");
                Arena arena = Arena.ofConfined()) {
            device.read(arena.allocate(512), 0);
            tag = "\"two\"";
            assertThatThrownBy(() -> device.read(arena.allocate(512), 0)).hasMessageContaining("has changed");
        }
    }

    @Test
    void whatCannotBeServedIsSaidWhenItIsOpened() {
        assertThatThrownBy(() -> connect("none")).hasMessageEndingWith("/none: the server answers with status 404");
        ranges = false;
        assertThatThrownBy(() -> connect("disk")).hasMessageEndingWith("the server does not serve ranges of it");
    }
}

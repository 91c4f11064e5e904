package farsight.server;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import farsight.config.ListenAddress;
import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Tells over HTTP how a server is, programs and people, on an address and a thread of their own. */
final class Monitor implements AutoCloseable {
    private static final Logger LOG = System.getLogger(Monitor.class.getName());
    private static final String TEXT = "text/plain; version=0.0.4; charset=utf-8";

    /** The page brings all that it needs, and asks nobody but this server. */
    private static final String POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
            + " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    /** What is answered to one path. */
    record Answer(boolean good, String text) {}

    /** Whoever knows. */
    interface Source {
        /** Figures for Prometheus. */
        Answer metrics();

        /** Whether the server works. */
        Answer health();

        /** Whether clients are accepted. */
        Answer readiness();

        /** What the page for people shows, as JSON. */
        Answer status();
    }

    private final HttpServer http;
    private final ExecutorService thread = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().name("monitor").daemon(true).factory());

    /** @throws IOException one line, when the address cannot be had */
    Monitor(ListenAddress.Tcp address, Source source) throws IOException {
        try {
            http = HttpServer.create(new InetSocketAddress(address.host(), address.port()), 0);
        } catch (IOException e) {
            thread.shutdown();
            throw new IOException(
                    "metrics cannot be served on " + address + ": " + e.getMessage()
                            + "; choose another address for [server] metrics",
                    e);
        }
        http.setExecutor(thread);
        http.createContext("/", exchange -> {
            try (exchange) {
                switch (exchange.getRequestURI().getPath()) {
                    case "/" -> answer(exchange, "text/html; charset=utf-8", new Answer(true, page()));
                    case "/status.json" -> answer(exchange, "application/json", source.status());
                    case "/metrics" -> answer(exchange, TEXT, source.metrics());
                    case "/healthz" -> answer(exchange, TEXT, source.health());
                    case "/readyz" -> answer(exchange, TEXT, source.readiness());
                    default -> send(exchange, TEXT, 404, "try /, /status.json, /metrics, /healthz or /readyz\n");
                }
            } catch (RuntimeException e) {
                LOG.log(Level.WARNING, "metrics: {0}", e.toString());
            }
        });
        http.start();
    }

    private static String page() throws IOException {
        try (InputStream in = Monitor.class.getResourceAsStream("status.html")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static void answer(HttpExchange exchange, String type, Answer answer) throws IOException {
        boolean reads = exchange.getRequestMethod().equals("GET")
                || exchange.getRequestMethod().equals("HEAD");
        send(
                exchange,
                reads ? type : TEXT,
                reads ? answer.good() ? 200 : 503 : 405,
                reads ? answer.text() : "only GET\n");
    }

    private static void send(HttpExchange exchange, String type, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        Headers headers = exchange.getResponseHeaders();
        headers.set("Content-Type", type);
        headers.set("Content-Security-Policy", POLICY);
        headers.set("X-Content-Type-Options", "nosniff");
        headers.set("Cache-Control", "no-store");
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.sendResponseHeaders(status, head ? -1 : bytes.length);
        if (!head) {
            exchange.getResponseBody().write(bytes);
        }
    }

    /** With the port that was chosen for it. */
    InetSocketAddress address() {
        return http.getAddress();
    }

    @Override
    public void close() {
        http.stop(0);
        thread.shutdown();
    }
}

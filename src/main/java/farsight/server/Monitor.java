package farsight.server;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import farsight.config.ListenAddress;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Tells over HTTP how a server is: /metrics, /healthz and /readyz, on an address and a thread of their own. */
final class Monitor implements AutoCloseable {
    private static final Logger LOG = System.getLogger(Monitor.class.getName());
    private static final String TEXT = "text/plain; version=0.0.4; charset=utf-8";

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
                    case "/metrics" -> answer(exchange, source.metrics());
                    case "/healthz" -> answer(exchange, source.health());
                    case "/readyz" -> answer(exchange, source.readiness());
                    default -> send(exchange, 404, "try /metrics, /healthz or /readyz\n");
                }
            } catch (RuntimeException e) {
                LOG.log(Level.WARNING, "metrics: {0}", e.toString());
            }
        });
        http.start();
    }

    private static void answer(HttpExchange exchange, Answer answer) throws IOException {
        boolean reads = exchange.getRequestMethod().equals("GET")
                || exchange.getRequestMethod().equals("HEAD");
        send(exchange, reads ? answer.good() ? 200 : 503 : 405, reads ? answer.text() : "only GET\n");
    }

    private static void send(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", TEXT);
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

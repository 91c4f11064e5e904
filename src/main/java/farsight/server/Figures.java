package farsight.server;

import java.time.Duration;

/** What a server tells of itself over HTTP. */
final class Figures implements Monitor.Source {
    /** How long the loops may take to answer. */
    private static final Duration LIMIT = Duration.ofSeconds(2);

    private final Server server;

    Figures(Server server) {
        this.server = server;
    }

    @Override
    public Monitor.Answer metrics() {
        Exposition out = new Exposition()
                .figure("farsight_connections", "gauge", "Clients that are connected.", server.connections())
                .figure(
                        "farsight_connections_accepted_total",
                        "counter",
                        "Clients that were accepted.",
                        server.acceptedConnections())
                .figure(
                        "farsight_connections_limit",
                        "gauge",
                        "max_connections.",
                        server.limits().maxConnections())
                .figure(
                        "farsight_pool_limit_bytes",
                        "gauge",
                        "Memory for payload.",
                        server.limits().poolBytes());
        boolean responsive = server.isResponsive(LIMIT);
        out.figure("farsight_responsive", "gauge", "Whether all loops answer.", responsive ? 1 : 0);
        if (responsive) {
            // These ask the loops, which would not answer.
            out.figure("farsight_pool_buffers", "gauge", "Buffers in use.", server.buffersInUse());
            out.figure("farsight_requests_in_flight", "gauge", "Requests not answered yet.", server.requestsInUse());
        }
        out.loops(server.counters()).traffic(server.exports().traffic());
        return new Monitor.Answer(true, out.toString());
    }

    @Override
    public Monitor.Answer status() {
        return new Monitor.Answer(true, new StatusReport(server).text(server.isResponsive(LIMIT)));
    }

    @Override
    public Monitor.Answer health() {
        boolean good = server.isResponsive(LIMIT);
        return new Monitor.Answer(good, good ? "ok\n" : "a loop does not answer within 2 s\n");
    }

    @Override
    public Monitor.Answer readiness() {
        boolean good = !server.isClosing();
        return new Monitor.Answer(good, good ? "ready\n" : "stopping\n");
    }
}

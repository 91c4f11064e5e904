package farsight.server;

import farsight.config.Json;
import farsight.loop.Counters;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** What a server is doing, as the JSON that its status page shows. */
final class StatusReport {
    /** Clients that are told of one by one: those that have asked most. */
    private static final int MOST_CLIENTS = 200;

    private final Server server;

    StatusReport(Server server) {
        this.server = server;
    }

    /** @param responsive whether the loops can be asked */
    String text(boolean responsive) {
        long now = System.nanoTime();
        List<Connection> open = server.open();
        Map<String, List<Usage>> users = open.stream()
                .map(Connection::usage)
                .filter(usage -> usage != null)
                .collect(Collectors.groupingBy(usage -> usage.export().name()));
        String inFlight = responsive ? Long.toString(server.requestsInUse()) : "null";
        return object(
                        field("version", Json.quote(version())),
                        field("uptime", seconds(now - server.began())),
                        field("connections", open.size()),
                        field("connections_limit", server.limits().maxConnections()),
                        field("pool_limit", server.limits().poolBytes()),
                        field("in_flight", inFlight),
                        field("least", seconds(Traffic.LEAST_NANOS)),
                        field("exports", exports(users)),
                        field("clients", clients(open, now)),
                        field("loops", array(server.counters().stream().map(StatusReport::loop))))
                + "\n";
    }

    private static String version() {
        var descriptor = StatusReport.class.getModule().getDescriptor();
        return descriptor == null ? "?" : descriptor.rawVersion().orElse("?");
    }

    private String exports(Map<String, List<Usage>> users) {
        Map<String, Set<Traffic>> all = new TreeMap<>(server.exports().traffic());
        server.exports().catalog().configured().keySet().forEach(name -> all.putIfAbsent(name, Set.of()));
        return array(all.entrySet().stream()
                .map(entry -> export(entry.getKey(), entry.getValue(), users.getOrDefault(entry.getKey(), List.of()))));
    }

    private static String export(String name, Set<Traffic> traffic, List<Usage> users) {
        String size = users.isEmpty()
                ? "null"
                : Long.toString(users.getFirst().export().size());
        Stream<String> commands = IntStream.range(0, Traffic.COMMANDS)
                .filter(command -> Exposition.COMMANDS[command] != null && Exposition.count(traffic, command) > 0)
                .mapToObj(command -> field(Exposition.COMMANDS[command], command(traffic, command)));
        return object(
                field("name", Json.quote(name)),
                field("size", size),
                field("clients", users.size()),
                field("commands", object(commands.toArray(String[]::new))));
    }

    private static String command(Set<Traffic> traffic, int command) {
        return object(
                field("requests", Exposition.count(traffic, command)),
                field("errors", Exposition.sum(traffic, t -> t.errors(command))),
                field("bytes", Exposition.sum(traffic, t -> t.bytes(command))),
                field("seconds", seconds(Exposition.sum(traffic, t -> t.nanos(command)))),
                field(
                        "times",
                        array(IntStream.range(0, Traffic.BUCKETS)
                                .mapToObj(bucket ->
                                        Long.toString(Exposition.sum(traffic, t -> t.count(command, bucket)))))));
    }

    private static String clients(List<Connection> open, long now) {
        record Client(String name, Usage usage) {}
        return array(open.stream()
                .map(connection -> new Client(connection.toString(), connection.usage()))
                .filter(client -> client.usage() != null)
                .sorted(Comparator.comparingLong(
                        (Client client) -> -client.usage().requests()))
                .limit(MOST_CLIENTS)
                .map(client -> object(
                        field("client", Json.quote(client.name())),
                        field("export", Json.quote(client.usage().export().name())),
                        field("tls", client.usage().tls()),
                        field("seconds", seconds(now - client.usage().began())),
                        field("requests", client.usage().requests()),
                        field("errors", client.usage().errors()),
                        field("read", client.usage().read()),
                        field("written", client.usage().written()))));
    }

    private static String loop(Counters loop) {
        return object(
                field("turns", loop.turns()),
                field("requests", loop.requests()),
                field("received", loop.receivedBytes()),
                field("sent", loop.sentBytes()),
                field("sent_in_place", loop.sentInPlaceBytes()),
                field("file_writes_at_once", loop.fileWritesAtOnce()),
                field("stalls", loop.stalls()));
    }

    private static String seconds(long nanos) {
        return Double.toString(nanos / 1e9);
    }

    private static String field(String name, Object value) {
        return Json.quote(name) + ":" + value;
    }

    private static String object(String... fields) {
        return "{" + String.join(",", fields) + "}";
    }

    private static String array(Stream<String> elements) {
        return elements.collect(Collectors.joining(",", "[", "]"));
    }
}

package farsight.server;

import farsight.loop.Counters;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.ToLongFunction;

/** Figures as text for Prometheus (text exposition format 0.0.4). */
final class Exposition {
    /** By the number of the command; null for what is none, or has no answer. */
    static final String[] COMMANDS = {"read", "write", null, "flush", "trim", "cache", "write_zeroes", "block_status"};

    private final StringBuilder out = new StringBuilder();

    /** A family of one figure without labels. */
    Exposition figure(String name, String type, String help, long value) {
        head(name, type, help);
        out.append(name).append(' ').append(value).append('\n');
        return this;
    }

    /** What the loops count. */
    Exposition loops(List<Counters> loops) {
        loop(loops, "farsight_loop_turns_total", "Times that a loop looked for events.", Counters::turns);
        loop(loops, "farsight_loop_sleeps_total", "Times that a loop slept because there were none.", Counters::sleeps);
        loop(loops, "farsight_loop_received_bytes_total", "Bytes received by a loop.", Counters::receivedBytes);
        loop(loops, "farsight_loop_sent_bytes_total", "Bytes sent by a loop.", Counters::sentBytes);
        loop(
                loops,
                "farsight_loop_sent_in_place_bytes_total",
                "Bytes sent by a loop that the system was to send without a copy.",
                Counters::sentInPlaceBytes);
        loop(
                loops,
                "farsight_loop_file_writes_at_once_total",
                "Writes to files that a loop made itself, without handing them over.",
                Counters::fileWritesAtOnce);
        loop(loops, "farsight_loop_requests_total", "Requests answered by a loop.", Counters::requests);
        loop(loops, "farsight_loop_stalls_total", "Turns of a loop that took 50 ms or longer.", Counters::stalls);
        return this;
    }

    private void loop(List<Counters> loops, String name, String help, ToLongFunction<Counters> value) {
        head(name, "counter", help);
        for (int i = 0; i < loops.size(); i++) {
            out.append(name).append("{loop=\"").append(i).append("\"} ");
            out.append(value.applyAsLong(loops.get(i))).append('\n');
        }
    }

    /** What clients have asked of exports. */
    Exposition traffic(Map<String, Set<Traffic>> exports) {
        Map<String, Set<Traffic>> sorted = new TreeMap<>(exports);
        String requests = "farsight_export_requests_total";
        head(requests, "counter", "Requests that were answered, with whatever result.");
        each(sorted, (labels, command, traffic) -> sample(requests, labels, count(traffic, command)));
        String errors = "farsight_export_errors_total";
        head(errors, "counter", "Requests that were answered with an error.");
        each(sorted, (labels, command, traffic) -> sample(errors, labels, sum(traffic, t -> t.errors(command))));
        String bytes = "farsight_export_bytes_total";
        head(bytes, "counter", "Lengths of the requests that succeeded.");
        each(sorted, (labels, command, traffic) -> sample(bytes, labels, sum(traffic, t -> t.bytes(command))));
        String seconds = "farsight_export_request_seconds";
        head(seconds, "histogram", "From the receipt of a request to its reply.");
        each(sorted, (labels, command, traffic) -> histogram(seconds, labels, command, traffic));
        String stages = "farsight_export_stage_seconds_total";
        head(stages, "counter", "Where the time went: receive, storage, reply of each request; send of each batch.");
        sorted.forEach((name, traffic) -> {
            for (Traffic.Stage stage : Traffic.Stage.values()) {
                out.append(stages).append("{export=\"").append(escape(name)).append("\",stage=\"");
                out.append(stage.name().toLowerCase(Locale.ROOT)).append("\"} ");
                out.append(seconds(sum(traffic, t -> t.nanos(stage)))).append('\n');
            }
        });
        return this;
    }

    private interface Series {
        void print(String labels, int command, Set<Traffic> traffic);
    }

    private static void each(Map<String, Set<Traffic>> exports, Series series) {
        exports.forEach((name, traffic) -> {
            for (int command = 0; command < COMMANDS.length; command++) {
                if (COMMANDS[command] != null && count(traffic, command) > 0) {
                    series.print(
                            "export=\"" + escape(name) + "\",command=\"" + COMMANDS[command] + "\"", command, traffic);
                }
            }
        });
    }

    private void histogram(String name, String labels, int command, Set<Traffic> traffic) {
        long count = 0;
        for (int i = 0; i < Traffic.BUCKETS; i++) {
            int bucket = i;
            count += sum(traffic, t -> t.count(command, bucket));
            String bound = i == Traffic.BUCKETS - 1 ? "+Inf" : seconds(Traffic.LEAST_NANOS << i);
            sample(name + "_bucket", labels + ",le=\"" + bound + "\"", count);
        }
        String sum = seconds(sum(traffic, t -> t.nanos(command)));
        out.append(name).append("_sum{").append(labels).append("} ").append(sum).append('\n');
        sample(name + "_count", labels, count);
    }

    private static String seconds(long nanos) {
        return Double.toString(nanos / 1e9);
    }

    static long count(Set<Traffic> traffic, int command) {
        long count = 0;
        for (int i = 0; i < Traffic.BUCKETS; i++) {
            int bucket = i;
            count += sum(traffic, t -> t.count(command, bucket));
        }
        return count;
    }

    static long sum(Set<Traffic> traffic, ToLongFunction<Traffic> value) {
        return traffic.stream().mapToLong(value).sum();
    }

    private void head(String name, String type, String help) {
        out.append("# HELP ").append(name).append(' ').append(help).append('\n');
        out.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    }

    private void sample(String name, String labels, long value) {
        out.append(name).append('{').append(labels).append("} ").append(value).append('\n');
    }

    private static String escape(String label) {
        return label.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
    }

    @Override
    public String toString() {
        return out.toString();
    }
}

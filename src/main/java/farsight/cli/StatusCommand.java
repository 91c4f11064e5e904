package farsight.cli;

import farsight.config.Json;
import farsight.config.Sizes;
import farsight.device.DeviceStatus;
import farsight.device.DeviceStatus.Traffic;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code farsight status}. */
@Command(
        name = "status",
        mixinStandardHelpOptions = true,
        description = "Print which devices are attached, and what goes over them.")
final class StatusCommand implements Callable<Integer> {
    @Option(names = "--json", description = "Print JSON.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        List<DeviceStatus> all = DeviceStatus.all();
        if (json) {
            System.out.println(all.stream().map(StatusCommand::json).collect(Collectors.joining(",\n", "[\n", "\n]")));
        } else if (all.isEmpty()) {
            System.out.println("no device is attached");
        } else {
            System.out.println(all.stream().map(StatusCommand::text).collect(Collectors.joining("\n")));
        }
        return 0;
    }

    private static String text(DeviceStatus status) {
        Traffic traffic = status.traffic();
        String alive = status.alive().map(count -> count + " of ").orElse("");
        return """
            %s:
              export:       %s
              backend:      %s
              size:         %d (%s)%s
              connections:  %s%d, %d reconnects
              client:       %s
              read:         %d requests, %d bytes
              written:      %d requests, %d bytes
              discarded:    %d requests, %d bytes
              flushes:      %d, now in flight: %d\
            """.formatted(
                status.device(),
                status.uri().orElse("unknown"),
                status.backend().orElse("unknown"),
                status.size(),
                Sizes.format(status.size()),
                status.readOnly() ? ", read-only" : "",
                alive,
                status.connections(),
                status.reconnects(),
                status.process()
                        .map(pid -> "process " + pid
                                + status.attach().map(how -> " by " + how).orElse(""))
                        .orElse("none looks after it"),
                traffic.reads(),
                traffic.bytesRead(),
                traffic.writes(),
                traffic.bytesWritten(),
                traffic.discards(),
                traffic.bytesDiscarded(),
                traffic.flushes(),
                traffic.inFlight());
    }

    private static String json(DeviceStatus status) {
        Traffic traffic = status.traffic();
        return """
              {
                "device": %s,
                "uri": %s,
                "backend": %s,
                "attach": %s,
                "size": %d,
                "read_only": %b,
                "connections": %d,
                "alive": %s,
                "reconnects": %d,
                "process": %s,
                "reads": %d,
                "bytes_read": %d,
                "writes": %d,
                "bytes_written": %d,
                "discards": %d,
                "bytes_discarded": %d,
                "flushes": %d,
                "in_flight": %d
              }\
            """.formatted(
                        Json.quote(status.device()),
                        quoted(status.uri()),
                        quoted(status.backend()),
                        quoted(status.attach()),
                        status.size(),
                        status.readOnly(),
                        status.connections(),
                        status.alive().map(String::valueOf).orElse("null"),
                        status.reconnects(),
                        status.process().map(String::valueOf).orElse("null"),
                        traffic.reads(),
                        traffic.bytesRead(),
                        traffic.writes(),
                        traffic.bytesWritten(),
                        traffic.discards(),
                        traffic.bytesDiscarded(),
                        traffic.flushes(),
                        traffic.inFlight());
    }

    private static String quoted(Optional<String> text) {
        return text.map(Json::quote).orElse("null");
    }
}

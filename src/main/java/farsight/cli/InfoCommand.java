package farsight.cli;

import farsight.client.ClientHandshake;
import farsight.client.ClientSocket;
import farsight.client.Negotiated;
import farsight.config.NbdUri;
import farsight.config.Sizes;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code farsight info}. */
@Command(
        name = "info",
        mixinStandardHelpOptions = true,
        description = "Print what a server offers for an export.",
        footer = {"", "  farsight info nbd://server/disk", "  farsight info 'nbd+unix:///disk?socket=/tmp/disk.sock'"})
final class InfoCommand implements Callable<Integer> {
    private static final Duration CONNECT_LIMIT = Duration.ofSeconds(10);

    @Parameters(
            paramLabel = "URI",
            converter = Words.Uri.class,
            description = "nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH")
    private NbdUri uri;

    @Option(names = "--json", description = "Print JSON.")
    private boolean json;

    @Option(names = "--list", description = "Print the names of the server's exports instead.")
    private boolean list;

    @Override
    public Integer call() throws IOException {
        try (ClientSocket socket = ClientSocket.connect(uri, CONNECT_LIMIT)) {
            System.out.println(
                    list
                            ? exports(ClientHandshake.list(socket))
                            : describe(ClientHandshake.inform(socket, uri.export())));
        }
        return 0;
    }

    private String exports(List<String> names) {
        return json
                ? names.stream().map(Json::quote).collect(Collectors.joining(", ", "[", "]"))
                : String.join("\n", names);
    }

    private String describe(Negotiated export) {
        List<String> flags = export.flagNames();
        if (json) {
            return """
                {
                  "export": %s,
                  "description": %s,
                  "size": %d,
                  "read_only": %b,
                  "multi_conn": %b,
                  "flags": %s,
                  "block_size": {"minimum": %d, "preferred": %d, "maximum": %d}
                }\
                """.formatted(
                            Json.quote(export.export()),
                            Json.quote(export.description()),
                            export.size(),
                            export.readOnly(),
                            export.multiConn(),
                            flags.stream().map(Json::quote).collect(Collectors.joining(", ", "[", "]")),
                            export.minimumBlock(),
                            export.preferredBlock(),
                            export.maximumPayload());
        }
        return """
            export:       %s
            description:  %s
            size:         %d (%s)
            flags:        %s
            block size:   minimum %d, preferred %d, maximum %d\
            """.formatted(
                        export.export(),
                        export.description(),
                        export.size(),
                        Sizes.format(export.size()),
                        String.join(" ", flags),
                        export.minimumBlock(),
                        export.preferredBlock(),
                        export.maximumPayload());
    }
}

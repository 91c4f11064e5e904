package farsight.cli;

import farsight.client.ClientHandshake;
import farsight.client.ClientSocket;
import farsight.client.ListedExport;
import farsight.client.MetaContext;
import farsight.client.Negotiated;
import farsight.config.Json;
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

    /** For picocli, which fills it in. */
    InfoCommand() {}

    InfoCommand(NbdUri uri) {
        this.uri = uri;
    }

    @Override
    public Integer call() throws IOException {
        if (list) {
            System.out.print(exports());
            return 0;
        }
        Negotiated export = export();
        System.out.print(json ? json(export) : text(export));
        return 0;
    }

    private Negotiated export() throws IOException {
        try (ClientSocket socket = ClientSocket.connect(uri, CONNECT_LIMIT)) {
            Negotiated export = ClientHandshake.inform(socket, uri.export());
            if (export.size() > 0) {
                return export;
            }
        }
        // nbd-server answers NBD_OPT_INFO with a size of 0 and knows better when the export is opened.
        try (ClientSocket socket = ClientSocket.connect(uri, CONNECT_LIMIT)) {
            return ClientHandshake.describe(socket, uri.export());
        }
    }

    private String exports() throws IOException {
        List<ListedExport> exports;
        try (ClientSocket socket = ClientSocket.connect(uri, CONNECT_LIMIT)) {
            exports = ClientHandshake.list(socket);
        }
        StringBuilder out = new StringBuilder(json ? "[" : "");
        String separator = "";
        for (ListedExport export : exports) {
            if (json) {
                out.append(separator).append("\n  {\"export\": ").append(Json.quote(export.name()));
                out.append(", \"description\": ")
                        .append(Json.quote(export.description()))
                        .append("}");
                separator = ",";
            } else {
                out.append(Words.printable(export.name()));
                out.append(export.description().isEmpty() ? "" : "\t" + Words.printable(export.description()));
                out.append('\n');
            }
        }
        return json ? out.append(exports.isEmpty() ? "]\n" : "\n]\n").toString() : out.toString();
    }

    private static String strings(List<String> texts) {
        return texts.stream().map(Json::quote).collect(Collectors.joining(", ", "[", "]"));
    }

    private static List<String> contexts(Negotiated export) {
        return export.contexts().stream().map(MetaContext::name).toList();
    }

    private static String json(Negotiated export) {
        return """
            {
              "export": %s,
              "description": %s,
              "size": %d,
              "read_only": %b,
              "multi_conn": %b,
              "flags": %s,
              "block_size": {"minimum": %d, "preferred": %d, "maximum": %d},
              "structured_replies": %b,
              "extended_headers": %b,
              "contexts": %s
            }
            """.formatted(
                        Json.quote(export.export()),
                        Json.quote(export.description()),
                        export.size(),
                        export.readOnly(),
                        export.multiConn(),
                        strings(export.flagNames()),
                        export.minimumBlock(),
                        export.preferredBlock(),
                        export.maximumPayload(),
                        export.structured(),
                        export.extended(),
                        strings(contexts(export)));
    }

    /** Without a formatter, which takes longer to get going than the server to answer. */
    private static String text(Negotiated export) {
        StringBuilder out = new StringBuilder();
        line(out, "export:       ", Words.printable(export.export()));
        line(out, "description:  ", Words.printable(export.description()));
        line(out, "size:         ", export.size() + " (" + Sizes.format(export.size()) + ")");
        line(out, "flags:        ", String.join(" ", export.flagNames()));
        line(
                out,
                "block size:   ",
                "minimum " + export.minimumBlock() + ", preferred " + export.preferredBlock() + ", maximum "
                        + export.maximumPayload());
        line(out, "replies:      ", replies(export));
        line(out, "contexts:     ", Words.printable(String.join(" ", contexts(export))));
        return out.toString();
    }

    private static String replies(Negotiated export) {
        return export.extended() ? "structured, extended headers" : export.structured() ? "structured" : "simple";
    }

    private static void line(StringBuilder out, String name, String value) {
        out.append(name).append(value).append('\n');
    }
}

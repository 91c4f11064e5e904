package farsight.cli;

import farsight.client.ClientOptions;
import farsight.client.Extent;
import farsight.client.NbdClient;
import farsight.config.Json;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code farsight map}. */
@Command(
        name = "map",
        mixinStandardHelpOptions = true,
        description = "Print which parts of an export are data, zeroes or holes.",
        footer = {
            "",
            "  farsight map nbd://server/disk",
            "  farsight map --context qemu:dirty-bitmap:b nbd://server/disk"
        })
final class MapCommand implements Callable<Integer> {
    @Parameters(paramLabel = "URI", description = "nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH")
    private String uri;

    @Option(names = "--json", description = "Print JSON, as nbdinfo --map --json does.")
    private boolean json;

    @Option(
            names = "--context",
            paramLabel = "CONTEXT",
            defaultValue = ClientOptions.ALLOCATION,
            description = "What to ask about (default: ${DEFAULT-VALUE}); farsight info lists what a server has.")
    private String context;

    @Override
    public Integer call() throws IOException {
        Words.checked(uri, farsight.config.NbdUri::parse);
        try (NbdClient client = NbdClient.connect(uri, ClientOptions.DEFAULT.withContexts(List.of(context)))) {
            String name = name(client);
            List<Extent> extents = client.extents(name, 0, client.size());
            System.out.print(json ? json(name, extents) : table(name, extents));
        }
        return 0;
    }

    /** A server may have given the context that was asked for under its full name. */
    private String name(NbdClient client) throws IOException {
        if (client.negotiated().contexts().isEmpty()) {
            throw new IOException("the server does not have the metadata context '" + context + "' for this export; '"
                    + "farsight info' lists what it has");
        }
        return client.negotiated().contexts().get(0).name();
    }

    private static String table(String name, List<Extent> extents) {
        StringBuilder out = new StringBuilder();
        for (Extent extent : extents) {
            out.append("%14d %14d %4d  %s%n"
                    .formatted(extent.offset(), extent.length(), extent.flags(), meaning(name, extent.flags())));
        }
        return out.toString();
    }

    private static String json(String name, List<Extent> extents) {
        StringBuilder out = new StringBuilder("[\n");
        String separator = "";
        for (Extent extent : extents) {
            out.append(separator).append("{ \"offset\": ").append(extent.offset());
            out.append(", \"length\": ").append(extent.length());
            out.append(", \"type\": ").append(Long.toUnsignedString(extent.flags()));
            String meaning = meaning(name, extent.flags());
            if (!meaning.isEmpty()) {
                out.append(", \"description\": ").append(Json.quote(meaning));
            }
            out.append("}");
            separator = ",\n";
        }
        return out.append("\n]\n").toString();
    }

    /** In nbdinfo's words, which people know. */
    static String meaning(String context, long flags) {
        if (context.equals(ClientOptions.ALLOCATION)) {
            return switch ((int) Math.min(flags, 4)) {
                case 0 -> "data";
                case 1 -> "hole";
                case 2 -> "zero";
                case 3 -> "hole,zero";
                default -> "";
            };
        }
        if (context.startsWith("qemu:dirty-bitmap:") && flags >= 0 && flags <= 1) {
            return flags == 0 ? "clean" : "dirty";
        }
        if (context.equals("qemu:allocation-depth") && flags >= 0) {
            return flags == 0 ? "unallocated" : flags == 1 ? "local" : "backing depth " + flags;
        }
        return "";
    }
}

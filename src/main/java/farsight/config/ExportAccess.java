package farsight.config;

import java.util.ArrayList;
import java.util.List;

/**
 * Who may open an export.
 *
 * @param tls whether only over TLS
 * @param allow networks that clients have to be in; empty for anywhere, else without unix sockets
 */
public record ExportAccess(boolean tls, List<Network> allow) {
    private static final int MOST_NETWORKS = 1000;

    /** Everybody. */
    public static final ExportAccess OPEN = new ExportAccess(false, List.of());

    public ExportAccess {
        allow = List.copyOf(allow);
    }

    /** What the table of an export says. */
    static ExportAccess read(Section table, TlsConfig server) {
        String tls = table.string("tls", null);
        if (tls != null && !tls.equals("require")) {
            table.problem("tls", table.title() + " tls must be \"require\", or be left out for what [server] says");
        } else if (tls != null && server.mode() == TlsConfig.Mode.OFF) {
            table.problem("tls", table.title() + " tls needs tls = \"allow\" or \"require\" in [server]");
        }
        List<Network> allow = new ArrayList<>();
        List<String> words = table.strings("allow", List.of());
        if (words.size() > MOST_NETWORKS) {
            table.problem(
                    "allow", table.title() + " allow has " + words.size() + " networks; at most " + MOST_NETWORKS);
        }
        for (String word : words) {
            try {
                allow.add(Network.parse(word));
            } catch (IllegalArgumentException e) {
                table.problem("allow", table.title() + " allow: " + e.getMessage());
            }
        }
        if (table.has("allow") && words.isEmpty()) {
            table.problem("allow", table.title() + " allow has nothing in it, so that nobody could open the export");
        }
        return new ExportAccess(tls != null, allow);
    }
}

package farsight.config;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Who may open an export, and who only to read.
 *
 * @param tls whether only over TLS
 * @param from networks, users and groups of which a client has to be; empty for anybody
 * @param certificates names, of which its certificate has to be for one; empty for none
 * @param readOnly clients for which the export is read-only
 */
public record ExportAccess(boolean tls, List<Who> from, List<Who> certificates, List<Who> readOnly) {
    private static final int MOST = 1000;

    /** Everybody. */
    public static final ExportAccess OPEN = new ExportAccess(false, List.of(), List.of(), List.of());

    public ExportAccess {
        from = List.copyOf(from);
        certificates = List.copyOf(certificates);
        readOnly = List.copyOf(readOnly);
    }

    /** Whether a client is where, or who on this machine, it has to be. */
    public boolean isFrom(ClientIdentity client) {
        return any(from, client, true);
    }

    /** Whether a client has a certificate for the right name, if it needs one. */
    public boolean isCertified(ClientIdentity client) {
        return any(certificates, client, true);
    }

    /** Whether it is read-only for a client. */
    public boolean isReadOnly(ClientIdentity client) {
        return any(readOnly, client, false);
    }

    private static boolean any(List<Who> rules, ClientIdentity client, boolean otherwise) {
        return rules.isEmpty() ? otherwise : rules.stream().anyMatch(who -> who.includes(client));
    }

    /** What the table of an export says. */
    static ExportAccess read(Section table, TlsConfig server) {
        String tls = table.string("tls", null);
        if (tls != null && !tls.equals("require")) {
            table.problem("tls", table.title() + " tls must be \"require\", or be left out for what [server] says");
        } else if (tls != null && server.mode() == TlsConfig.Mode.OFF) {
            table.problem("tls", table.title() + " tls needs tls = \"allow\" or \"require\" in [server]");
        }
        List<Who> from = new ArrayList<>(list(table, "allow", Network::parse));
        from.addAll(list(table, "users", Who::user));
        from.addAll(list(table, "groups", Who::group));
        List<Who> certificates = list(table, "allow_clients", CertificateName::parse);
        if (!certificates.isEmpty() && !server.verifyClients()) {
            table.problem(
                    "allow_clients", table.title() + " allow_clients needs tls_verify_clients = true in [server]");
        }
        // Without a certificate nobody gets in, so there is no use in trying without TLS.
        boolean secure = tls != null || !certificates.isEmpty();
        List<Who> readOnly = list(table, "read_only_for", Who::parse);
        boolean named = readOnly.stream().anyMatch(CertificateName.class::isInstance);
        if (named && !(server.verifyClients() && (secure || server.mode() == TlsConfig.Mode.REQUIRE))) {
            // Whoever left the certificate out would be allowed to write.
            table.problem(
                    "read_only_for",
                    table.title() + " read_only_for names certificates, which needs tls = \"require\" here or in"
                            + " [server], and tls_verify_clients = true there");
        }
        return new ExportAccess(secure, from, certificates, readOnly);
    }

    private static List<Who> list(Section table, String key, Function<String, Who> parse) {
        List<Who> list = new ArrayList<>();
        List<String> words = table.strings(key, List.of());
        if (words.size() > MOST) {
            table.problem(key, table.title() + " " + key + " has " + words.size() + " entries; at most " + MOST);
        }
        for (String word : words) {
            try {
                list.add(parse.apply(word));
            } catch (IllegalArgumentException e) {
                table.problem(key, table.title() + " " + key + ": " + e.getMessage());
            }
        }
        if (table.has(key) && words.isEmpty()) {
            boolean opens = !key.equals("read_only_for");
            table.problem(
                    key,
                    table.title() + " " + key + " has nothing in it"
                            + (opens ? ", so that nobody could open the export" : "; leave it out"));
        }
        return list;
    }
}

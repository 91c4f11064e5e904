package farsight.config;

import java.nio.file.Path;
import java.util.List;

/**
 * TLS of a server.
 *
 * @param mode who gets what
 * @param certificates the directory of the certificates; null when {@code mode} is OFF
 * @param verifyClients whether a client has to show a certificate that the directory's ca-cert.pem has signed
 * @param versions of TLS that are spoken: any of 1.2 and 1.3; not empty
 */
public record TlsConfig(Mode mode, Path certificates, boolean verifyClients, List<String> versions) {
    public enum Mode {
        /** There is no TLS. */
        OFF,

        /** Whoever asks for it gets it. */
        ALLOW,

        /** Nothing without it. */
        REQUIRE
    }

    public static final List<String> VERSIONS = List.of("1.2", "1.3");

    public static final TlsConfig OFF = new TlsConfig(Mode.OFF, null, false, VERSIONS);

    public TlsConfig {
        versions = List.copyOf(versions);
    }

    /** What {@code [server]} says. */
    static TlsConfig read(Section section) {
        Mode mode = mode(section);
        String directory = section.string("tls_certificates", null);
        boolean verify = section.flag("tls_verify_clients", false);
        List<String> versions = section.strings("tls_versions", VERSIONS);
        if (versions.isEmpty() || !VERSIONS.containsAll(versions)) {
            section.problem("tls_versions", "[server] tls_versions must be \"1.2\", \"1.3\" or both, as an array");
            versions = VERSIONS;
        }
        if (mode != Mode.OFF && directory == null && !section.has("tls_certificates")) {
            section.problem(
                    "tls",
                    "[server] tls needs tls_certificates = \"DIRECTORY\" with server-cert.pem and server-key.pem");
        }
        if (mode == Mode.OFF && verify) {
            section.problem(
                    "tls_verify_clients", "[server] tls_verify_clients is without effect unless tls is \"require\"");
        }
        if (mode == Mode.OFF || directory == null) {
            return OFF;
        }
        return new TlsConfig(mode, Path.of(directory), verify, versions);
    }

    private static Mode mode(Section section) {
        String wanted = section.string("tls", "off");
        return switch (wanted) {
            case "off" -> Mode.OFF;
            case "allow" -> Mode.ALLOW;
            case "require" -> Mode.REQUIRE;
            default -> {
                section.problem(
                        "tls",
                        "[server] tls is \"" + Values.shorten(wanted)
                                + "\"; it must be \"off\", \"allow\" or \"require\"");
                yield Mode.OFF;
            }
        };
    }
}

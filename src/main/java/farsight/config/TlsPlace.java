package farsight.config;

/**
 * How a client of {@code nbds://} convinces itself of the server, and the server of itself (doc/uri.md of the NBD
 * project).
 *
 * @param certificates directory of ca-cert.pem, and of client-cert.pem and client-key.pem if there are; null for the
 *     authorities that the system knows
 * @param hostname what the server's certificate has to be for; null for the host of the URI
 * @param verify whether the certificate is looked at at all
 */
public record TlsPlace(String certificates, String hostname, boolean verify) {
    static final String CERTIFICATES = "tls-certificates";
    static final String HOSTNAME = "tls-hostname";
    static final String VERIFY = "tls-verify-peer";

    /** With the authorities of the system. */
    public static final TlsPlace DEFAULT = new TlsPlace(null, null, true);

    /** The parameters of a URI, without what is as by default. */
    String parameters() {
        StringBuilder all = new StringBuilder();
        if (certificates != null) {
            all.append('&').append(CERTIFICATES).append('=').append(Percent.encode(certificates));
        }
        if (hostname != null) {
            all.append('&').append(HOSTNAME).append('=').append(Percent.encode(hostname));
        }
        if (!verify) {
            all.append('&').append(VERIFY).append("=false");
        }
        return all.toString();
    }
}

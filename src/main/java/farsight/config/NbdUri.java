package farsight.config;

import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where an export is (doc/uri.md of the NBD project): {@code nbd://host:port/export} or
 * {@code nbd+unix:///export?socket=/path}.
 *
 * @param host an address or a name; null for a unix socket
 * @param port for TCP, 1 to 65535
 * @param socket path of the unix socket; null for TCP
 * @param export the export's name, empty for the default one
 */
public record NbdUri(String host, int port, String socket, String export) {
    private static final Pattern TCP =
            Pattern.compile("nbd://(\\[[0-9a-fA-F:.%]+]|[^\\[\\]/:?#]+)(?::(\\d+))?(?:/([^?#]*))?");
    private static final Pattern UNIX = Pattern.compile("nbd\\+unix://(?:/([^?#]*))?\\?socket=([^&#]+)");

    public static NbdUri tcp(String host, int port, String export) {
        return new NbdUri(host, port, null, export);
    }

    public static NbdUri unix(String socket, String export) {
        return new NbdUri(null, 0, socket, export);
    }

    public boolean isUnix() {
        return socket != null;
    }

    /**
     * Reads a URI.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static NbdUri parse(String text) {
        if (text.startsWith("nbds")) {
            throw new IllegalArgumentException("'" + text + "': TLS (nbds://) is not supported yet; use nbd://");
        }
        Matcher unix = UNIX.matcher(text);
        if (unix.matches()) {
            return unix(decode(unix.group(2)), decode(unix.group(1)));
        }
        Matcher tcp = TCP.matcher(text);
        if (!tcp.matches()) {
            throw new IllegalArgumentException(
                    "'" + text + "' is not nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH");
        }
        int port = tcp.group(2) == null ? ServerConfig.DEFAULT_PORT : port(text, tcp.group(2));
        String host = tcp.group(1).replaceAll("^\\[|]$", "");
        return tcp(decode(host), port, decode(tcp.group(3)));
    }

    private static int port(String text, String digits) {
        return Optional.of(digits)
                .filter(d -> d.length() <= 5)
                .map(Integer::parseInt)
                .filter(p -> p >= 1 && p <= 65535)
                .orElseThrow(() -> new IllegalArgumentException("'" + text + "' has no port from 1 to 65535"));
    }

    private static String decode(String text) {
        // A plus sign is itself in a URI's path; only HTML forms mean a space by it.
        return text == null ? "" : URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8)
                .replace("+", "%20")
                .replace("%2F", "/")
                .replace("%3A", ":");
    }

    @Override
    public String toString() {
        if (isUnix()) {
            return "nbd+unix:///" + encode(export) + "?socket=" + encode(socket);
        }
        String address = host.contains(":") ? "[" + host + "]" : host;
        return "nbd://" + address + (port == ServerConfig.DEFAULT_PORT ? "" : ":" + port) + "/" + encode(export);
    }
}

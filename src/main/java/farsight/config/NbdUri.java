package farsight.config;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Where an export is (doc/uri.md of the NBD project): {@code nbd://host:port/export} or
 * {@code nbd+unix:///export?socket=/path}, with {@code nbds} for TLS. {@link #toString} gives the one form that {@link #parse} reads back as an
 * equal URI.
 *
 * @param host an address or a name; null for a unix socket
 * @param port for TCP, 1 to 65535
 * @param socket path of the unix socket; null for TCP
 * @param export the export's name, empty for the default one
 * @param tls how to speak TLS; null to do without
 */
public record NbdUri(String host, int port, String socket, String export, TlsPlace tls) {
    private static final String TCP = "nbd";
    private static final String UNIX = "nbd+unix";
    private static final String SECURE = "nbds";
    private static final String SECURE_UNIX = "nbds+unix";
    private static final String SOCKET = "socket";
    private static final List<String> KNOWN =
            List.of(SOCKET, TlsPlace.CERTIFICATES, TlsPlace.HOSTNAME, TlsPlace.VERIFY);

    /** TCP. An IPv6 address is brought to its one short form. */
    public static NbdUri tcp(String host, int port, String export) {
        return new NbdUri(host == null ? null : Host.canonical(host), port, null, export, null);
    }

    public static NbdUri unix(String socket, String export) {
        return new NbdUri(null, 0, socket, export, null);
    }

    public boolean isUnix() {
        return socket != null;
    }

    // ---- reading -------------------------------------------------------------------------------------------------

    /**
     * Reads a URI. Without a host, {@code nbd:///disk}, it is this machine, as for libnbd.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static NbdUri parse(String text) {
        int colon = text.indexOf("://");
        String scheme = text.substring(0, Math.max(0, colon)).toLowerCase(Locale.ROOT);
        boolean secure = scheme.equals(SECURE) || scheme.equals(SECURE_UNIX);
        if (secure) {
            scheme = scheme.replace(SECURE, TCP);
        }
        if (!scheme.equals(TCP) && !scheme.equals(UNIX)) {
            throw wrong(text, "not nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH");
        }
        String rest = text.substring(colon + "://".length());
        if (rest.indexOf('#') >= 0) {
            throw wrong(text, "a '#' in an export's name or a path is written %23");
        }
        int question = rest.indexOf('?');
        String hierarchy = question < 0 ? rest : rest.substring(0, question);
        String query = question < 0 ? "" : rest.substring(question + 1);
        int slash = hierarchy.indexOf('/');
        String authority = slash < 0 ? hierarchy : hierarchy.substring(0, slash);
        String export = slash < 0 ? "" : decode(text, hierarchy.substring(slash + 1));
        ExportName.problem(export).ifPresent(problem -> {
            throw wrong(text, "the export's name " + problem);
        });
        Map<String, String> parameters = parameters(text, query);
        String socket = parameters.remove(SOCKET);
        NbdUri place =
                scheme.equals(UNIX) ? unix(text, authority, socket, export) : tcp(text, authority, socket, export);
        if (!secure) {
            if (!parameters.isEmpty()) {
                throw wrong(text, parameters.keySet().iterator().next() + " goes with nbds:// and nbds+unix://");
            }
            return place;
        }
        return new NbdUri(place.host, place.port, place.socket, place.export, tls(text, parameters));
    }

    /** "Any other query parameters which the client does not understand SHOULD be diagnosed" (doc/uri.md). */
    private static Map<String, String> parameters(String text, String query) {
        Map<String, String> all = new LinkedHashMap<>();
        for (String parameter : query.split("&", -1)) {
            int equals = parameter.indexOf('=');
            String name = equals < 0 ? parameter : parameter.substring(0, equals);
            if (KNOWN.contains(name) && (equals < 0 || all.containsKey(name))) {
                throw wrong(text, "there must be one " + name + "=" + (name.equals(SOCKET) ? "PATH" : "VALUE"));
            } else if (KNOWN.contains(name)) {
                all.put(name, decode(text, parameter.substring(equals + 1)));
            } else if (!parameter.isEmpty()) {
                throw wrong(text, "unknown parameter '" + name + "'; known are " + String.join(", ", KNOWN));
            }
        }
        return all;
    }

    private static TlsPlace tls(String text, Map<String, String> parameters) {
        String certificates = parameters.get(TlsPlace.CERTIFICATES);
        String hostname = parameters.get(TlsPlace.HOSTNAME);
        String verify = parameters.getOrDefault(TlsPlace.VERIFY, "true");
        if (certificates != null && (certificates.isEmpty() || certificates.indexOf('\0') >= 0)) {
            throw wrong(text, "tls-certificates must be a directory");
        }
        if (hostname != null && hostname.isEmpty()) {
            throw wrong(text, "tls-hostname must be a name or an address");
        }
        return new TlsPlace(
                certificates,
                hostname,
                switch (verify) {
                    case "true", "1" -> true;
                    case "false", "0" -> false;
                    default -> throw wrong(text, "tls-verify-peer must be true or false");
                });
    }

    private static NbdUri unix(String text, String authority, String socket, String export) {
        if (!authority.isEmpty()) {
            throw wrong(text, "a unix socket has no host: write nbd+unix:/// with three slashes");
        }
        if (socket == null || socket.isEmpty()) {
            throw wrong(text, "the path of the socket is missing: add ?socket=PATH");
        }
        if (socket.startsWith("\0")) {
            throw wrong(text, "abstract sockets are not supported; use one that has a path");
        }
        if (!ListenAddress.Unix.fits(socket)) {
            throw wrong(text, "the path of a socket has at most " + ListenAddress.Unix.LONGEST + " bytes and no NUL");
        }
        return unix(socket, export);
    }

    private static NbdUri tcp(String text, String authority, String socket, String export) {
        if (socket != null) {
            throw wrong(text, "a socket goes with nbd+unix:///EXPORT?socket=PATH");
        }
        if (authority.indexOf('@') >= 0) {
            throw wrong(text, "users (TLS with pre-shared keys) are not supported; leave out what is before the '@'");
        }
        int bracket = authority.lastIndexOf(']');
        int colon = authority.indexOf(':', Math.max(0, bracket));
        String name = colon < 0 ? authority : authority.substring(0, colon);
        if (name.startsWith("[") && name.endsWith("]")) {
            // RFC 6874: the percent sign before a zone is itself written %25; many people do not.
            name = name.substring(1, name.length() - 1).replaceFirst("%25", "%");
            if (name.indexOf(':') < 0) {
                throw wrong(text, "in the brackets must be an IPv6 address");
            }
        } else if (authority.indexOf(':') != authority.lastIndexOf(':')) {
            throw wrong(text, "an IPv6 address needs brackets: nbd://[ADDRESS]:PORT/EXPORT");
        } else {
            name = decode(text, name);
        }
        String host = name.isEmpty() ? "localhost" : name;
        Host.problem(host).ifPresent(problem -> {
            throw wrong(text, "the host " + problem);
        });
        return tcp(host, colon < 0 ? ServerConfig.DEFAULT_PORT : port(text, authority.substring(colon + 1)), export);
    }

    private static int port(String text, String digits) {
        if (digits.isEmpty()) {
            return ServerConfig.DEFAULT_PORT; // RFC 3986, section 3.2.3
        }
        return Optional.of(digits)
                .filter(port -> port.matches("\\d{1,5}"))
                .map(Integer::parseInt)
                .filter(port -> port >= 1 && port <= 65535)
                .orElseThrow(() -> wrong(text, "the port must be from 1 to 65535"));
    }

    private static String decode(String text, String part) {
        try {
            return Percent.decode(part);
        } catch (IllegalArgumentException e) {
            throw wrong(text, e.getMessage());
        }
    }

    private static IllegalArgumentException wrong(String text, String what) {
        return new IllegalArgumentException("'" + text + "': " + what);
    }

    // ---- writing -------------------------------------------------------------------------------------------------

    @Override
    public String toString() {
        if (isUnix()) {
            return (tls == null ? UNIX : SECURE_UNIX) + ":///" + Percent.encode(export) + "?socket="
                    + Percent.encode(socket) + (tls == null ? "" : tls.parameters());
        }
        String address = host.indexOf(':') < 0 ? Percent.encode(host) : "[" + host.replace("%", "%25") + "]";
        String parameters = tls == null ? "" : tls.parameters();
        return (tls == null ? TCP : SECURE) + "://" + address
                + (port == ServerConfig.DEFAULT_PORT ? "" : ":" + port) + "/" + Percent.encode(export)
                + (parameters.isEmpty() ? "" : "?" + parameters.substring(1));
    }
}

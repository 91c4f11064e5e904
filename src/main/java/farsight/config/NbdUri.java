package farsight.config;

import java.util.Locale;
import java.util.Optional;

/**
 * Where an export is (doc/uri.md of the NBD project): {@code nbd://host:port/export} or
 * {@code nbd+unix:///export?socket=/path}. {@link #toString} gives the one form that {@link #parse} reads back as an
 * equal URI.
 *
 * @param host an address or a name; null for a unix socket
 * @param port for TCP, 1 to 65535
 * @param socket path of the unix socket; null for TCP
 * @param export the export's name, empty for the default one
 */
public record NbdUri(String host, int port, String socket, String export) {
    private static final String TCP = "nbd";
    private static final String UNIX = "nbd+unix";
    private static final String SOCKET = "socket";

    /** TCP. An IPv6 address is brought to its one short form. */
    public static NbdUri tcp(String host, int port, String export) {
        return new NbdUri(host == null ? null : Host.canonical(host), port, null, export);
    }

    public static NbdUri unix(String socket, String export) {
        return new NbdUri(null, 0, socket, export);
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
        if (scheme.equals("nbds") || scheme.equals("nbds+unix")) {
            throw wrong(
                    text, "TLS (" + scheme + "://) is not supported yet; use " + scheme.replace("nbds", "nbd") + "://");
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
        String socket = socket(text, query);
        return scheme.equals(UNIX) ? unix(text, authority, socket, export) : tcp(text, authority, socket, export);
    }

    /** "Any other query parameters which the client does not understand SHOULD be diagnosed" (doc/uri.md). */
    private static String socket(String text, String query) {
        String socket = null;
        for (String parameter : query.split("&", -1)) {
            int equals = parameter.indexOf('=');
            String name = equals < 0 ? parameter : parameter.substring(0, equals);
            if (name.equals(SOCKET) && equals >= 0 && socket == null) {
                socket = decode(text, parameter.substring(equals + 1));
            } else if (name.equals(SOCKET)) {
                throw wrong(text, "there must be one socket=PATH");
            } else if (name.startsWith("tls-")) {
                throw wrong(text, "TLS (" + name + ") is not supported yet; leave it out");
            } else if (!parameter.isEmpty()) {
                throw wrong(text, "unknown parameter '" + name + "'; the only one is socket=PATH");
            }
        }
        return socket;
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
            throw wrong(text, "users are for TLS, which is not supported yet; leave out what is before the '@'");
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
            return "nbd+unix:///" + Percent.encode(export) + "?socket=" + Percent.encode(socket);
        }
        String address = host.indexOf(':') < 0 ? Percent.encode(host) : "[" + host.replace("%", "%25") + "]";
        return "nbd://" + address + (port == ServerConfig.DEFAULT_PORT ? "" : ":" + port) + "/"
                + Percent.encode(export);
    }
}

package farsight.config;

import java.nio.charset.StandardCharsets;

/** Where a server is told to listen. */
public sealed interface ListenAddress {

    /**
     * TCP on all addresses of a host.
     *
     * @param host an IPv4 or IPv6 address, or a name; {@code ::} is every address of both kinds
     * @param port 0 to 65535; 0 lets the system choose
     */
    record Tcp(String host, int port) implements ListenAddress {
        @Override
        public String toString() {
            return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + port;
        }
    }

    /** A unix socket at a path. */
    record Unix(String path) implements ListenAddress {
        /** The longest path that the kernel takes, in bytes (sun_path of unix(7), without the NUL). */
        static final int LONGEST = 107;

        static boolean fits(String path) {
            int bytes = path.getBytes(StandardCharsets.UTF_8).length;
            return bytes > 0 && bytes <= LONGEST && path.indexOf('\0') < 0;
        }

        @Override
        public String toString() {
            return "unix:" + path;
        }
    }

    /**
     * Reads {@code HOST:PORT}, {@code [IPV6]:PORT} or {@code unix:PATH}.
     *
     * @throws IllegalArgumentException with a message for people
     */
    static ListenAddress parse(String text) {
        if (text.startsWith("unix:")) {
            String path = text.substring("unix:".length());
            if (!Unix.fits(path)) {
                throw wrong(text, "needs a path of 1 to " + Unix.LONGEST + " bytes after unix:");
            }
            return new Unix(path);
        }
        int colon = text.lastIndexOf(':');
        String host = colon < 0 ? text : text.substring(0, colon);
        boolean bracketed = host.startsWith("[") && host.endsWith("]");
        if (colon < 1 || host.indexOf(':') >= 0 && !bracketed) {
            throw wrong(text, "is not HOST:PORT, [IPV6]:PORT or unix:PATH");
        }
        String digits = text.substring(colon + 1);
        if (!digits.matches("\\d{1,5}") || Integer.parseInt(digits) > 65535) {
            throw wrong(text, "needs a port from 0 (any) to 65535 after the last colon");
        }
        String bare = bracketed ? host.substring(1, host.length() - 1) : host;
        Host.problem(bare).ifPresent(problem -> {
            throw wrong(text, "has a host that " + problem);
        });
        return new Tcp(bare, Integer.parseInt(digits));
    }

    private static IllegalArgumentException wrong(String text, String what) {
        return new IllegalArgumentException("address '" + text + "' " + what);
    }
}

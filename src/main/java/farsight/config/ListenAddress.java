package farsight.config;

/** Where a server is told to listen. */
public sealed interface ListenAddress {

    /**
     * TCP on all addresses of a host.
     *
     * @param host an IPv4 or IPv6 address, or a name; {@code ::} is every address of both kinds
     * @param port 0 to 65535; 0 lets the system choose
     */
    record Tcp(String host, int port) implements ListenAddress {}

    /** A unix socket at a path. */
    record Unix(String path) implements ListenAddress {}
}

package farsight.config;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** {@code [server]} of the server's file. Every key has a default, so the section may be left out. */
final class ServerSection {
    private static final int MOST_LOOPS = 256;
    private static final Duration LEAST_TIME = Duration.ofMillis(1);
    private static final Duration MOST_TIME = Duration.ofHours(1);
    private static final Duration MOST_IDLE = Duration.ofDays(30);

    /** What one receive may bring, so that requests that follow a handshake do not count as part of it. */
    private static final int LEAST_HANDSHAKE = 512 << 10;

    /** A loop that looks for work longer than this has a processor to itself anyway. */
    private static final Duration MOST_SPIN = Duration.ofSeconds(1);

    private static final String EVERY_ADDRESS = "::";

    private final Section section;

    ServerSection(Section section) {
        this.section = section;
    }

    List<ListenAddress> listen() {
        boolean unixOnly = section.has("unix") && !section.has("address") && !section.has("port");
        List<String> addresses = section.strings("address", List.of("localhost"));
        int port = (int) section.integer("port", 0, 65535, ServerConfig.DEFAULT_PORT);
        Set<ListenAddress> listen = new LinkedHashSet<>();
        if (!unixOnly) {
            check(addresses);
            addresses.forEach(host -> listen.add(new ListenAddress.Tcp(host, port)));
        }
        for (String path : section.strings("unix", List.of())) {
            if (!ListenAddress.Unix.fits(path)) {
                section.problem(
                        "unix", "[server] unix must be a path of 1 to " + ListenAddress.Unix.LONGEST + " bytes");
            }
            listen.add(new ListenAddress.Unix(path));
        }
        return new ArrayList<>(listen);
    }

    private void check(List<String> addresses) {
        if (addresses.isEmpty()) {
            section.problem(
                    "address",
                    "[server] address has nothing in it; write \"" + EVERY_ADDRESS
                            + "\" for every address of this machine");
        }
        for (String host : addresses) {
            Host.problem(host)
                    .ifPresent(problem ->
                            section.problem("address", "[server] address \"" + Values.shorten(host) + "\" " + problem));
        }
        // The kernel would answer "address already in use", which sends people looking for another process.
        if (addresses.contains(EVERY_ADDRESS) && Set.copyOf(addresses).size() > 1) {
            section.problem(
                    "address",
                    "[server] address \"" + EVERY_ADDRESS
                            + "\" is every address of this machine, IPv4 and IPv6; leave the others out");
        }
    }

    Limits limits() {
        Limits defaults = Limits.DEFAULT;
        return new Limits(
                (int) section.integer("max_connections", 1, 1 << 20, defaults.maxConnections()),
                (int) section.integer("max_requests", 1, 1 << 16, defaults.maxRequests()),
                section.size("max_bytes", 1 << 20, 1L << 40, defaults.maxBytes()),
                (int) section.integer("max_errors", 0, Integer.MAX_VALUE, defaults.maxErrors()),
                (int) section.integer("max_options", 1, 1 << 16, defaults.maxOptions()),
                section.duration("handshake_timeout", LEAST_TIME, MOST_TIME, defaults.handshakeTimeout()),
                section.size("pool", 16 << 20, 1L << 42, defaults.poolBytes()),
                section.duration("shutdown_timeout", LEAST_TIME, MOST_TIME, defaults.shutdownTimeout()),
                (int) section.integer("max_connections_per_address", 1, 1 << 20, defaults.maxPerAddress()),
                section.size("handshake_bytes", LEAST_HANDSHAKE, 1L << 40, defaults.handshakeBytes()),
                section.duration("idle_timeout", Duration.ZERO, MOST_IDLE, defaults.idleTimeout()));
    }

    Loops loops() {
        Loops defaults = Loops.DEFAULT;
        return new Loops(
                (int) section.integer("loops", 0, MOST_LOOPS, 0),
                io(defaults.io()),
                section.duration("spin", Duration.ZERO, MOST_SPIN, defaults.spin()),
                section.flag("batch", defaults.batch()),
                section.flag("zero_copy", defaults.zeroCopy()));
    }

    private Io io(Io otherwise) {
        String wanted = section.string("io", "auto");
        for (Io io : Io.values()) {
            if (io.name().toLowerCase(Locale.ROOT).equals(wanted)) {
                return io;
            }
        }
        section.problem(
                "io", "[server] io is \"" + Values.shorten(wanted) + "\"; it must be \"auto\", \"uring\" or \"epoll\"");
        return otherwise;
    }

    TlsConfig tls() {
        return TlsConfig.read(section);
    }

    List<Path> pluginPath() {
        List<Path> paths = new ArrayList<>();
        for (String path : section.strings("plugin_path", List.of())) {
            try {
                paths.add(Path.of(path));
            } catch (InvalidPathException e) {
                section.problem("plugin_path", "[server] plugin_path \"" + path + "\" is not a path: " + e.getReason());
            }
        }
        return paths;
    }

    /** Where figures are told over HTTP. */
    Optional<ListenAddress.Tcp> metrics() {
        String address = section.string("metrics", null);
        if (address == null) {
            return Optional.empty();
        }
        try {
            if (ListenAddress.parse(address) instanceof ListenAddress.Tcp tcp) {
                return Optional.of(tcp);
            }
            section.problem("metrics", "[server] metrics must be HOST:PORT, such as \"127.0.0.1:9100\"");
        } catch (IllegalArgumentException e) {
            section.problem("metrics", "[server] metrics: " + e.getMessage());
        }
        return Optional.empty();
    }

    void finish() {
        section.rejectUnknown();
    }
}

package farsight.config;

import java.time.Duration;

/**
 * What one server allows its clients.
 *
 * @param maxConnections connections at the same time; a further one is closed at once, unless one that has not finished
 *     its handshake can give way to it
 * @param maxRequests requests of one connection that are not answered yet; beyond it nothing is received from it
 * @param maxBytes payload of those requests, in bytes; likewise
 * @param maxErrors invalid requests of one connection that are answered with an error; the next one ends it
 * @param maxOptions options that a client may send in its handshake
 * @param handshakeTimeout how long a handshake may take
 * @param poolBytes memory for payload of all connections together
 * @param shutdownTimeout how long a stop may take: to finish what is in flight, and to flush
 * @param maxPerAddress connections of one IPv4 address, or IPv6 network of 64 bits, at the same time; 0 for as many as
 *     there may be
 * @param handshakeBytes what a client may send in its handshake, and again over TLS
 * @param idleTimeout how long a client may be silent; zero for ever
 */
public record Limits(
        int maxConnections,
        int maxRequests,
        long maxBytes,
        int maxErrors,
        int maxOptions,
        Duration handshakeTimeout,
        long poolBytes,
        Duration shutdownTimeout,
        int maxPerAddress,
        long handshakeBytes,
        Duration idleTimeout) {
    private static final Duration SHUTDOWN = Duration.ofSeconds(10);
    private static final long HANDSHAKE_BYTES = 4 << 20;

    public static final Limits DEFAULT = new Limits(256, 256, 64L << 20, 10, 64, Duration.ofSeconds(10), 512L << 20);

    public Limits {
        atLeast(1, maxConnections, "maxConnections");
        atLeast(1, maxRequests, "maxRequests");
        atLeast(1, maxBytes, "maxBytes");
        atLeast(0, maxErrors, "maxErrors");
        atLeast(1, maxOptions, "maxOptions");
        atLeast(1, handshakeTimeout.toMillis(), "handshakeTimeout in ms");
        atLeast(1, poolBytes, "poolBytes");
        atLeast(1, shutdownTimeout.toMillis(), "shutdownTimeout in ms");
        atLeast(0, maxPerAddress, "maxPerAddress");
        atLeast(1, handshakeBytes, "handshakeBytes");
        atLeast(0, idleTimeout.toMillis(), "idleTimeout in ms");
    }

    /** With the usual limits for all else. */
    public Limits(
            int maxConnections,
            int maxRequests,
            long maxBytes,
            int maxErrors,
            int maxOptions,
            Duration handshakeTimeout,
            long poolBytes) {
        this(
                maxConnections,
                maxRequests,
                maxBytes,
                maxErrors,
                maxOptions,
                handshakeTimeout,
                poolBytes,
                SHUTDOWN,
                0,
                HANDSHAKE_BYTES,
                Duration.ZERO);
    }

    private static void atLeast(long least, long value, String name) {
        if (value < least) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be at least " + least);
        }
    }

    /** The same but for the number of invalid requests. */
    public Limits withMaxErrors(int errors) {
        return new Limits(
                maxConnections,
                maxRequests,
                maxBytes,
                errors,
                maxOptions,
                handshakeTimeout,
                poolBytes,
                shutdownTimeout,
                maxPerAddress,
                handshakeBytes,
                idleTimeout);
    }

    /** The same but for how long a stop may take. */
    public Limits withShutdownTimeout(Duration time) {
        return new Limits(
                maxConnections,
                maxRequests,
                maxBytes,
                maxErrors,
                maxOptions,
                handshakeTimeout,
                poolBytes,
                time,
                maxPerAddress,
                handshakeBytes,
                idleTimeout);
    }

    /** The same but for the connections of one address. */
    public Limits withMaxPerAddress(int connections) {
        return new Limits(
                maxConnections,
                maxRequests,
                maxBytes,
                maxErrors,
                maxOptions,
                handshakeTimeout,
                poolBytes,
                shutdownTimeout,
                connections,
                handshakeBytes,
                idleTimeout);
    }

    /** The same but for how long clients may be silent. */
    public Limits withIdleTimeout(Duration time) {
        return new Limits(
                maxConnections,
                maxRequests,
                maxBytes,
                maxErrors,
                maxOptions,
                handshakeTimeout,
                poolBytes,
                shutdownTimeout,
                maxPerAddress,
                handshakeBytes,
                time);
    }
}

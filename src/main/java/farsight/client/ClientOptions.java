package farsight.client;

import java.time.Duration;
import java.util.List;

/**
 * What a client asks for. Servers that do not have it are used without it, except for the export itself.
 *
 * @param connections how many at most, 1 to 64; only one is made to a server that does not allow more
 *     (NBD_FLAG_CAN_MULTI_CONN)
 * @param requests in flight on each connection, 1 to 1024; a further one waits
 * @param structured whether to ask for structured replies: reads with holes, errors with a text, block status
 * @param extended whether to ask for extended headers: 64-bit lengths
 * @param contexts metadata to ask for with block status, for example {@code base:allocation}
 * @param connectTimeout for each address of the server
 * @param timeout how long a server may be silent while it owes an answer before the connection is given up; zero is for
 *     ever
 */
public record ClientOptions(
        int connections,
        int requests,
        boolean structured,
        boolean extended,
        List<String> contexts,
        Duration connectTimeout,
        Duration timeout) {
    /** Holes and zeroes (proto.md, "The base:allocation metadata context"). */
    public static final String ALLOCATION = "base:allocation";

    /** One connection with everything that the server has, without metadata. */
    public static final ClientOptions DEFAULT =
            new ClientOptions(1, 128, true, true, List.of(), Duration.ofSeconds(10), Duration.ofMinutes(2));

    private static final int MOST_CONNECTIONS = 64;
    private static final int MOST_REQUESTS = 1024;

    public ClientOptions {
        check("connections", connections, MOST_CONNECTIONS);
        check("requests", requests, MOST_REQUESTS);
        contexts = List.copyOf(contexts);
        if (contexts.size() > ClientHandshake.MOST_CONTEXTS) {
            throw new IllegalArgumentException(
                    "at most " + ClientHandshake.MOST_CONTEXTS + " contexts, not " + contexts.size());
        }
        if (timeout.isNegative() || connectTimeout.isNegative()) {
            throw new IllegalArgumentException("a timeout must not be negative");
        }
    }

    private static void check(String what, int value, int most) {
        if (value < 1 || value > most) {
            throw new IllegalArgumentException(what + " must be from 1 to " + most + ", not " + value);
        }
    }

    public ClientOptions withConnections(int connections) {
        return new ClientOptions(connections, requests, structured, extended, contexts, connectTimeout, timeout);
    }

    public ClientOptions withRequests(int requests) {
        return new ClientOptions(connections, requests, structured, extended, contexts, connectTimeout, timeout);
    }

    public ClientOptions withStructured(boolean structured) {
        return new ClientOptions(connections, requests, structured, extended, contexts, connectTimeout, timeout);
    }

    public ClientOptions withExtended(boolean extended) {
        return new ClientOptions(connections, requests, structured, extended, contexts, connectTimeout, timeout);
    }

    public ClientOptions withContexts(List<String> contexts) {
        return new ClientOptions(connections, requests, structured, extended, contexts, connectTimeout, timeout);
    }

    public ClientOptions withTimeout(Duration timeout) {
        return new ClientOptions(connections, requests, structured, extended, contexts, connectTimeout, timeout);
    }
}

package farsight.client;

import java.time.Duration;

/**
 * How a copy is done.
 *
 * @param connections to each server that allows several, 1 to 64
 * @param requests in flight on each connection, 1 to 1023
 * @param requestSize bytes of one request, a multiple of 64 KiB up to 32 MiB; 0 for what suits the kind of copy
 * @param verify whether both sides are read again and compared at the end
 * @param timeout how long a server may be silent while it owes an answer; zero is for ever
 */
public record CopyOptions(int connections, int requests, int requestSize, boolean verify, Duration timeout) {
    /** As many connections as there are processors, 2 to 4: more than these only take turns. */
    public static final CopyOptions DEFAULT = new CopyOptions(
            Math.clamp(Runtime.getRuntime().availableProcessors(), 2, 4), 32, 0, false, Duration.ofMinutes(2));

    private static final int STEP = 64 << 10;
    private static final int LARGEST = 32 << 20;
    private static final int MOST_REQUESTS = 1023;

    public CopyOptions {
        if (requests < 1 || requests > MOST_REQUESTS) {
            throw new IllegalArgumentException("requests must be from 1 to " + MOST_REQUESTS + ", not " + requests);
        }
        if (requestSize != 0 && requestSize < STEP || requestSize > LARGEST || requestSize % STEP != 0) {
            throw new IllegalArgumentException(
                    "the request size must be a multiple of 64 KiB up to 32 MiB, not " + requestSize);
        }
    }

    ClientOptions client(boolean source) {
        ClientOptions options = ClientOptions.DEFAULT
                .withConnections(connections)
                .withRequests(source ? requests + 1 : requests) // one to ask where its holes are
                .withTimeout(timeout);
        return source || verify ? options.withContexts(java.util.List.of(ClientOptions.ALLOCATION)) : options;
    }
}

package farsight.tls;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * The threads for the costly steps of handshakes: signatures and chains of certificates. As many as there are processors;
 * a connection has one step in it at most, so that the number of connections bounds what waits.
 */
final class HandshakeThreads {
    private static final ExecutorService THREADS = Executors.newFixedThreadPool(
            Runtime.getRuntime().availableProcessors(),
            Thread.ofPlatform().daemon().name("tls-handshake-", 0).factory());

    private HandshakeThreads() {}

    static void execute(Runnable task) {
        THREADS.execute(task);
    }
}

package farsight.device;

import farsight.client.DescriptorSocket;
import farsight.client.NbdException;
import farsight.client.TlsRelay;
import farsight.sys.Process;
import farsight.sys.Sockets;
import java.time.Duration;

/** A connection to a server in the transmission phase, whose socket is for the kernel to take. */
sealed interface Line extends AutoCloseable {
    /** The server, for messages. */
    String peer();

    /** The descriptor that the kernel is given. It shows when the connection has ended. */
    int fd();

    /** Ends the connection, also for the kernel. */
    default void cut() {
        Sockets.shutdown(fd());
    }

    /** Gives up the descriptor; what the kernel has taken lives on. */
    @Override
    void close();

    /** Waits, not for long, until the server has got all that the kernel said last. */
    void awaitGoodbye() throws InterruptedException;

    /** The kernel has the server's socket itself. */
    record Direct(DescriptorSocket socket) implements Line {
        @Override
        public String peer() {
            return socket.peer();
        }

        @Override
        public int fd() {
            return socket.fd();
        }

        @Override
        public void close() {
            socket.close();
        }

        @Override
        public void awaitGoodbye() {
            // The kernel sends it, whether this process lives or not.
        }
    }

    /** Over TLS: what the kernel has leads to this process, and ends with it. */
    final class Relayed implements Line {
        private static final Duration GOODBYE_LIMIT = Duration.ofSeconds(2);

        private final String peer;
        private final TlsRelay relay;
        private boolean closed;

        Relayed(DescriptorSocket socket) throws NbdException {
            peer = socket.peer();
            relay = TlsRelay.start(socket);
        }

        @Override
        public String peer() {
            return peer;
        }

        @Override
        public int fd() {
            return relay.end();
        }

        @Override
        public void close() {
            if (!closed) {
                closed = true;
                Process.close(relay.end());
            }
        }

        @Override
        public void awaitGoodbye() throws InterruptedException {
            relay.awaitEnd(GOODBYE_LIMIT);
        }
    }
}

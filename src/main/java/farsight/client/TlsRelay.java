package farsight.client;

import farsight.sys.ErrnoException;
import farsight.sys.Scheduling;
import farsight.sys.Sockets;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * A connection over TLS for the kernel, which does not speak it: the kernel has one end of a pair of unix sockets, and two
 * threads of this process encrypt and decrypt between the other end and the server. It ends when either side does, and
 * then both sides see it; nobody has to close it.
 */
public final class TlsRelay {
    private static final Logger LOG = Logger.getLogger("farsight.client");

    /** What one turn moves at most. */
    private static final int ROOM = 256 << 10;

    private final DescriptorSocket server;
    private final DescriptorSocket kernel;
    private final int end;
    private final AtomicInteger running = new AtomicInteger(2);
    private final CountDownLatch over = new CountDownLatch(1);

    private TlsRelay(DescriptorSocket server, DescriptorSocket kernel, int end) {
        this.server = server;
        this.kernel = kernel;
        this.end = end;
    }

    /**
     * Begins to relay for a socket that is in the transmission phase over TLS, and belongs to the relay from here on.
     *
     * @throws NbdException when the system has no sockets left; the server's is the caller's still
     */
    public static TlsRelay start(DescriptorSocket server) throws NbdException {
        int[] pair;
        try {
            pair = Sockets.pair();
        } catch (ErrnoException e) {
            throw new NbdException(server.peer() + ": cannot make the sockets of a relay: " + e.getMessage());
        }
        TlsRelay relay = new TlsRelay(server, DescriptorSocket.of(pair[1], Integer.MAX_VALUE), pair[0]);
        relay.run("tls-to-server", relay::toServer);
        relay.run("tls-to-kernel", relay::toKernel);
        return relay;
    }

    /** The descriptor for the kernel. The caller closes it when the kernel has taken it. */
    public int end() {
        return end;
    }

    /** Waits until both sides are closed. */
    public boolean awaitEnd(Duration limit) throws InterruptedException {
        return over.await(limit.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** One direction, for as long as it goes. */
    private interface Direction {
        void run(MemorySegment memory, ByteBuffer buffer) throws NbdException;
    }

    private void run(String name, Direction direction) {
        Thread.ofPlatform().name(name).daemon(true).start(() -> {
            Scheduling.servesBlockDevice();
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment memory = arena.allocate(ROOM, 64);
                direction.run(memory, memory.asByteBuffer());
            } catch (NbdException e) {
                LOG.log(Level.FINE, "{0} ends: {1}", new Object[] {name, e.getMessage()});
            } finally {
                ended();
            }
        });
    }

    /** The other direction ends as well; the one that ends last closes. */
    private void ended() {
        server.shutdown();
        kernel.shutdown();
        if (running.decrementAndGet() == 0) {
            server.close();
            kernel.close();
            over.countDown();
        }
    }

    private void toServer(MemorySegment memory, ByteBuffer buffer) throws NbdException {
        TlsTransport tls = server.tls();
        try {
            while (true) {
                long received = kernel.receiveSome(memory.address(), ROOM);
                tls.send(buffer.clear().limit((int) received));
            }
        } finally {
            server.finish();
        }
    }

    private void toKernel(MemorySegment memory, ByteBuffer buffer) throws NbdException {
        TlsTransport tls = server.tls();
        while (true) {
            tls.receive(buffer.clear());
            kernel.send(memory.address(), buffer.position());
        }
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.Settings;
import farsight.backend.memory.MemoryProvider;
import farsight.config.ExportConfig;
import farsight.config.Limits;
import farsight.config.ListenAddress;
import farsight.config.Loops;
import farsight.config.ServerConfig;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * A client that works while thousands come from elsewhere that do not mean to. Those cost this machine something wherever
 * they go, and more when it has other things to do: so they also go to somebody who accepts and closes, and nothing else.
 */
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FloodTest {
    private static final int SILENT = 10_000;
    private static final int HOSTILE = 1_000;
    private static final int ROUNDS = 6;
    private static final long WINDOW_NANOS = 2_000_000_000;
    private static final long QUIET_NANOS = 500_000_000;

    private static final int DEPTH = 16;
    private static final int BLOCK = 4096;

    /** The machine may have something else to do: once in so many measurements it has to be as it should. */
    private static final int ATTEMPTS = 3;

    private static Server serve() throws IOException {
        ExportConfig disk = new ExportConfig("disk", "memory", new Settings(Map.of("size", 1L << 20)), false, "");
        ServerConfig config = new ServerConfig(
                List.of(new ListenAddress.Tcp("127.0.0.1", 0)),
                Limits.DEFAULT,
                Loops.DEFAULT,
                Map.of(),
                Map.of("disk", disk));
        return Server.start(config, Map.of("memory", new MemoryProvider()));
    }

    /** Reads, so many at a time. */
    private static final class Worker {
        private final SocketChannel channel;
        private final ByteBuffer requests = ByteBuffer.allocateDirect(DEPTH * 28);
        private final ByteBuffer replies = ByteBuffer.allocateDirect(DEPTH * (16 + BLOCK));

        Worker(SocketChannel channel) throws IOException {
            this.channel = channel;
            RawClient.greet(channel).go("disk");
            for (int i = 0; i < DEPTH; i++) {
                requests.putInt(Nbd.NBD_REQUEST_MAGIC).putInt(Nbd.NBD_CMD_READ).putLong(i);
                requests.putLong((long) i * BLOCK).putInt(BLOCK);
            }
        }

        private void round() throws IOException {
            requests.flip();
            while (requests.hasRemaining()) {
                channel.write(requests);
            }
            replies.clear();
            while (replies.hasRemaining()) {
                if (channel.read(replies) < 0) {
                    throw new IOException("the worker was disconnected");
                }
            }
            for (int i = 0; i < DEPTH; i++) {
                assertThat(replies.getInt(i * (16 + BLOCK) + 4)).isZero();
            }
        }

        /** Requests in a second, during so many nanoseconds. */
        double window(long nanos) throws IOException {
            long began = System.nanoTime();
            long rounds = 0;
            while (System.nanoTime() - began < nanos) {
                round();
                rounds++;
            }
            return rounds * DEPTH * 1e9 / (System.nanoTime() - began);
        }
    }

    @Test
    void aFloodLeavesAWorkingClientMostOfItsThroughput() throws Exception {
        double[] ratios = new double[ATTEMPTS];
        try (Server server = serve()) {
            InetSocketAddress address =
                    new InetSocketAddress("127.0.0.1", server.uris().getFirst().port());
            try (SocketChannel channel = SocketChannel.open(address)) {
                Worker worker = new Worker(channel);
                worker.window(QUIET_NANOS);
                int attempt = 0;
                do {
                    ratios[attempt] = measure(worker, address);
                } while (ratios[attempt] < 0.8 && ++attempt < ATTEMPTS);
                System.out.println("of its throughput a flood leaves: " + Arrays.toString(ratios));
            }
            TestServer.awaitTrue("connections are left", () -> server.connections() == 0);
            TestServer.awaitTrue("requests are left", () -> server.requestsInUse() == 0);
        }
        assertThat(Arrays.stream(ratios).max().getAsDouble()).isGreaterThanOrEqualTo(0.8);
    }

    /** Who accepts and closes. */
    private static final class Door implements AutoCloseable {
        private final ServerSocketChannel listener;

        Door() throws IOException {
            listener = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0), 1024);
            Thread.ofPlatform().name("door").daemon(true).start(this::run);
        }

        private void run() {
            try {
                while (true) {
                    listener.accept().close();
                }
            } catch (IOException e) {
                // It is closed.
            }
        }

        InetSocketAddress address() throws IOException {
            return (InetSocketAddress) listener.getLocalAddress();
        }

        @Override
        public void close() throws IOException {
            listener.close();
        }
    }

    /** Windows with a flood elsewhere and here in turn; the median of what is left of each pair. */
    private static double measure(Worker worker, InetSocketAddress address) throws Exception {
        double[] left = new double[ROUNDS];
        double[] alone = new double[ROUNDS];
        int silent = SILENT / ROUNDS + 1;
        int hostile = HOSTILE / ROUNDS + 1;
        try (Door door = new Door()) {
            for (int round = 0; round < ROUNDS; round++) {
                double quiet = worker.window(QUIET_NANOS);
                double elsewhere;
                try (Flood flood = new Flood(door.address(), silent, hostile, WINDOW_NANOS)) {
                    elsewhere = worker.window(WINDOW_NANOS);
                    flood.await();
                }
                try (Flood flood = new Flood(address, silent, hostile, WINDOW_NANOS)) {
                    double here = worker.window(WINDOW_NANOS);
                    // Newcomers who mean to work are let in, whatever the flood has left behind.
                    try (SocketChannel channel = SocketChannel.open(address)) {
                        new Worker(channel).round();
                    }
                    flood.await();
                    left[round] = here / elsewhere;
                    alone[round] = here / quiet;
                }
            }
        }
        assertThat(silent * ROUNDS).isGreaterThanOrEqualTo(SILENT);
        assertThat(hostile * ROUNDS).isGreaterThanOrEqualTo(HOSTILE);
        Arrays.sort(left);
        Arrays.sort(alone);
        System.out.println("of the throughput without any flood: " + alone[ROUNDS / 2]);
        return left[ROUNDS / 2];
    }
}

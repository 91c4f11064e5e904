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
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A client that works while thousands come from elsewhere that do not mean to. */
@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FloodTest {
    private static final int SILENT = 10_000;
    private static final int HOSTILE = 1_000;
    private static final int PAIRS = 8;
    private static final long WINDOW_NANOS = 1_200_000_000;

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

        /** Requests in a second, during a window. */
        double window() throws IOException {
            long began = System.nanoTime();
            long rounds = 0;
            while (System.nanoTime() - began < WINDOW_NANOS) {
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
                worker.window();
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

    /** Windows with and without a flood in turn; the median of what is left of each pair. */
    private static double measure(Worker worker, InetSocketAddress address) throws Exception {
        double[] left = new double[PAIRS];
        int silent = 0;
        int hostile = 0;
        for (int pair = 0; pair < PAIRS; pair++) {
            double alone = worker.window();
            int more = SILENT / PAIRS + 1;
            int worse = HOSTILE / PAIRS + 1;
            try (Flood flood = new Flood(address, more, worse, WINDOW_NANOS)) {
                double flooded = worker.window();
                // Newcomers who mean to work are let in, whatever the flood has left behind.
                try (SocketChannel channel = SocketChannel.open(address)) {
                    new Worker(channel).round();
                }
                flood.await();
                silent += more;
                hostile += worse;
                left[pair] = flooded / alone;
            }
        }
        assertThat(silent).isGreaterThanOrEqualTo(SILENT);
        assertThat(hostile).isGreaterThanOrEqualTo(HOSTILE);
        Arrays.sort(left);
        return left[PAIRS / 2];
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.backend.Settings;
import farsight.backend.memory.MemoryProvider;
import farsight.config.ExportAccess;
import farsight.config.ExportConfig;
import farsight.config.ExportRates;
import farsight.config.Limits;
import farsight.config.ListenAddress;
import farsight.config.Loops;
import farsight.config.ServerConfig;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** How many may come, how long they may stay, and how much they may ask. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LimitsTest {
    private static final Limits FEW = new Limits(8, 64, 64 << 20, 10, 64, Duration.ofMinutes(5), 64 << 20);

    @TempDir
    Path directory;

    private static Server serve(Limits limits, ExportRates rates) throws IOException {
        Settings settings = new Settings(Map.of("size", 1L << 20));
        ExportConfig disk = new ExportConfig("disk", "memory", settings, false, "", false, ExportAccess.OPEN, rates);
        ServerConfig config = new ServerConfig(
                List.of(new ListenAddress.Tcp("127.0.0.1", 0)), limits, Loops.DEFAULT, Map.of(), Map.of("disk", disk));
        return Server.start(config, Map.of("memory", new MemoryProvider()));
    }

    private static SocketChannel connect(Server server, String from) throws IOException {
        SocketChannel channel = SocketChannel.open();
        channel.bind(new InetSocketAddress(from, 0));
        channel.connect(
                new InetSocketAddress("127.0.0.1", server.uris().getFirst().port()));
        return channel;
    }

    private static RawClient work(Server server, String from) throws IOException {
        return RawClient.greet(connect(server, from)).go("disk");
    }

    private static void read(RawClient client, int length) throws IOException {
        client.request(Nbd.NBD_CMD_READ, 0, 1, 0, length);
        assertThat(client.reply().error()).isZero();
    }

    // ---- connections ---------------------------------------------------------------------------------------------

    @Test
    void anAddressHasSoManyConnectionsAndNoMore() throws IOException {
        try (Server server = serve(FEW.withMaxPerAddress(2), ExportRates.NONE);
                RawClient first = work(server, "127.0.0.1");
                RawClient other = work(server, "127.0.0.2")) {
            try (RawClient second = work(server, "127.0.0.1")) {
                assertThatThrownBy(() -> work(server, "127.0.0.1")).isInstanceOf(IOException.class);
                read(second, 512);
            }
            TestServer.awaitTrue("it is still there", () -> server.connections() == 2);
            work(server, "127.0.0.1").close();
            work(server, "127.0.0.2").close();
            read(first, 512);
            read(other, 512);
        }
    }

    @Test
    void whoDoesNotGetOnGivesWayToWhoDoes() throws IOException {
        List<SocketChannel> silent = new ArrayList<>();
        try (Server server = serve(FEW, ExportRates.NONE);
                RawClient worker = work(server, "127.0.0.1");
                RawClient slow = RawClient.greet(connect(server, "127.0.0.3"))) {
            for (int i = 0; i < 5 * FEW.maxConnections(); i++) {
                silent.add(connect(server, "127.0.0.2"));
                if (i % 8 == 7) {
                    work(server, "127.0.0.1").close();
                }
            }
            // Those of whom there are most go first.
            slow.go("disk");
            read(slow, 512);
            read(worker, 512);
            assertThat(server.connections()).isLessThanOrEqualTo(FEW.maxConnections() + 64);
            for (SocketChannel channel : silent) {
                channel.close();
            }
            TestServer.awaitTrue("silent clients are kept", () -> server.connections() == 2);
        }
    }

    @Test
    void whoHasBegunToWorkGivesWayToNobody() throws IOException {
        try (Server server = serve(FEW, ExportRates.NONE)) {
            List<RawClient> workers = new ArrayList<>();
            while (workers.size() < FEW.maxConnections()) {
                RawClient worker = work(server, "127.0.0.1");
                read(worker, 512);
                workers.add(worker);
            }
            assertThatThrownBy(() -> work(server, "127.0.0.2")).isInstanceOf(IOException.class);
            for (RawClient worker : workers) {
                read(worker, 512);
                worker.close();
            }
        }
    }

    @Test
    void aHandshakeOfTooManyBytesIsCutOff() throws IOException {
        try (Server server = serve(FEW, ExportRates.NONE);
                RawClient client = RawClient.greet(connect(server, "127.0.0.1"))) {
            client.send(RawClient.bytes(out -> {
                out.writeLong(0x49484156454f5054L);
                out.writeInt(Nbd.NBD_OPT_INFO);
                out.writeInt(-1);
            }));
            long sent = 0;
            byte[] piece = new byte[64 << 10];
            try {
                while (sent < 4L << 30) {
                    client.send(piece);
                    sent += piece.length;
                }
            } catch (IOException e) {
                // What is on its way in the sockets does not count.
                assertThat(sent).isLessThan(64 << 20);
            }
            assertThat(sent).isLessThan(4L << 30);
        }
    }

    // ---- requests in flight --------------------------------------------------------------------------------------

    /** Storage that answers when it is told to. */
    private static final class Hesitant implements AsyncBlockDevice {
        private final BlockingQueue<Request> waiting = new LinkedBlockingQueue<>();

        @Override
        public long size() {
            return 1 << 20;
        }

        @Override
        public Set<Feature> features() {
            return Set.of();
        }

        @Override
        public void submit(Request request) {
            waiting.add(request);
        }
    }

    @Test
    void whatIsNotAnsweredIsLimitedInNumberAndBytes() throws Exception {
        Limits three = new Limits(8, 3, 64 << 20, 10, 64, Duration.ofMinutes(5), 64 << 20);
        Limits bytes = new Limits(8, 64, 2 << 20, 10, 64, Duration.ofMinutes(5), 64 << 20);
        // The request that reaches the limit of bytes is the last one that is taken.
        assertThat(inFlight(Files.createDirectory(directory.resolve("a")), three, 512))
                .isEqualTo(3);
        assertThat(inFlight(Files.createDirectory(directory.resolve("b")), bytes, 512 << 10))
                .isEqualTo(4);
    }

    /** How many requests storage has at most when a client sends twenty. */
    private static int inFlight(Path place, Limits limits, int length) throws Exception {
        Hesitant device = new Hesitant();
        int most = 0;
        try (TestServer server = new TestServer.Builder(place)
                        .device("disk", device)
                        .limits(limits)
                        .start();
                RawClient client = RawClient.greet(server.connect()).go("disk")) {
            for (int i = 0; i < 20; i++) {
                client.request(Nbd.NBD_CMD_READ, 0, i, 0, length);
            }
            for (int i = 0; i < 20; i++) {
                Request next = device.waiting.poll(30, TimeUnit.SECONDS);
                assertThat(next).as("request " + i).isNotNull();
                int now = server.server().requestsInUse();
                most = Math.max(most, now);
                next.complete();
                assertThat(client.reply().error()).isZero();
            }
        }
        return most;
    }

    // ---- time ----------------------------------------------------------------------------------------------------

    @Test
    void whoIsSilentTooLongIsDisconnectedAndWhoWorksIsNot() throws IOException {
        try (Server server = serve(FEW.withIdleTimeout(Duration.ofSeconds(1)), ExportRates.NONE);
                RawClient silent = work(server, "127.0.0.1");
                RawClient stuck = work(server, "127.0.0.1");
                RawClient worker = work(server, "127.0.0.1")) {
            // In the middle of a write.
            stuck.send(RawClient.bytes(out -> {
                out.writeInt(Nbd.NBD_REQUEST_MAGIC);
                out.writeInt(Nbd.NBD_CMD_WRITE);
                out.writeLong(1);
                out.writeLong(0);
                out.writeInt(4096);
                out.write(new byte[100]);
            }));
            TestServer.awaitTrue("silent clients are kept", () -> {
                try {
                    read(worker, 512);
                } catch (IOException e) {
                    throw new AssertionError("a client that works was disconnected", e);
                }
                return server.connections() == 1;
            });
            assertThat(silent.atEnd()).isTrue();
            read(worker, 512);
        }
    }

    @Test
    void silenceIsAllowedUnlessItIsNot() throws IOException {
        try (Server server = serve(FEW, ExportRates.NONE);
                RawClient silent = work(server, "127.0.0.1")) {
            assertThat(FEW.idleTimeout()).isZero();
            read(silent, 512);
            assertThat(server.connections()).isEqualTo(1);
        }
    }

    // ---- rates ---------------------------------------------------------------------------------------------------

    /** Two clients, each with many requests at once, get no more than one would. */
    @Test
    void clientsOfAnExportShareItsRateOfRequests() throws IOException {
        long began = System.nanoTime();
        try (Server server = serve(FEW, new ExportRates(0, 200));
                RawClient one = work(server, "127.0.0.1");
                RawClient other = work(server, "127.0.0.2")) {
            for (int i = 0; i < 60; i++) {
                one.request(Nbd.NBD_CMD_READ, 0, i, 0, 512);
                other.request(Nbd.NBD_CMD_READ, 0, i, 0, 512);
            }
            for (int i = 0; i < 60; i++) {
                assertThat(one.reply().error()).isZero();
                assertThat(other.reply().error()).isZero();
            }
        }
        // 120, of which a tenth of a second's may begin at once.
        assertThat(System.nanoTime() - began).isGreaterThan(480_000_000L);
    }

    @Test
    void bytesReadAndWrittenAreLimited() throws IOException {
        long began = System.nanoTime();
        try (Server server = serve(FEW, new ExportRates(4 << 20, 0));
                RawClient client = work(server, "127.0.0.1")) {
            byte[] content = new byte[256 << 10];
            for (int i = 0; i < 6; i++) {
                client.request(Nbd.NBD_CMD_WRITE, 0, 2 * i, 0, content.length, content);
                client.request(Nbd.NBD_CMD_READ, 0, 2 * i + 1, 0, content.length);
                assertThat(client.reply().error()).isZero();
                assertThat(client.reply().error()).isZero();
            }
        }
        assertThat(System.nanoTime() - began).isGreaterThan(500_000_000L);
    }
}

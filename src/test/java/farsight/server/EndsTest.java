package farsight.server;

import static farsight.tools.WireClient.*;
import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.Settings;
import farsight.backend.memory.MemoryProvider;
import farsight.config.ExportConfig;
import farsight.config.Limits;
import farsight.config.ListenAddress;
import farsight.config.Loops;
import farsight.config.ServerConfig;
import farsight.sys.Files;
import farsight.sys.SocketAddress;
import farsight.tools.WireClient;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How connections come to their end. */
class EndsTest {
    private static final int ALLOWED = 3;

    @TempDir
    Path directory;

    private static Server overTcp() throws IOException {
        ExportConfig export = new ExportConfig("memory", "memory", new Settings(Map.of("size", 1L << 20)), false, "");
        ServerConfig config = new ServerConfig(
                List.of(new ListenAddress.Tcp("127.0.0.1", 0)),
                Limits.DEFAULT.withMaxErrors(ALLOWED),
                Loops.of(1),
                Map.of(),
                Map.of("memory", export));
        return Server.start(config, Map.of("memory", new MemoryProvider()));
    }

    @Test
    void theLastErrorArrivesOverTcpAlthoughTheClientGoesOnSending() throws IOException {
        try (Server server = overTcp()) {
            int port = URI.create(server.uris().getFirst().toString()).getPort();
            for (int round = 0; round < 20; round++) {
                try (WireClient client = WireClient.tcp(port).structured().go("memory")) {
                    // Far more than is read before the server gives up, so that it closes with much unread.
                    ByteBuffer flood = ByteBuffer.allocate(28 * 10_000);
                    while (flood.hasRemaining()) {
                        flood.putInt(0x25609513)
                                .putInt(99)
                                .putLong(7)
                                .putLong(0)
                                .putInt(0);
                    }
                    client.send(flood.flip());
                    for (int i = 0; i <= ALLOWED; i++) {
                        assertThat(client.chunk().error()).isEqualTo(22);
                    }
                    assertThat(client.atEnd()).isTrue();
                }
            }
            TestServer.awaitTrue("connections are left", () -> server.connections() == 0);
        }
    }

    @Test
    void theAnswerToAnAbortArrivesOverTcpAlthoughTheClientGoesOnSending() throws IOException {
        try (Server server = overTcp()) {
            int port = URI.create(server.uris().getFirst().toString()).getPort();
            for (int round = 0; round < 20; round++) {
                try (WireClient client = WireClient.tcp(port)) {
                    client.sendOption(ABORT, 0);
                    client.sendOption(99, 30_000, new byte[30_000]);
                    assertThat(client.optionReplies().getLast().type()).isEqualTo(ACK);
                    assertThat(client.atEnd()).isTrue();
                }
            }
        }
    }

    @Test
    void aClientThatDoesNotCloseIsClosedInTheEnd() throws IOException {
        try (Server server = overTcp()) {
            int port = URI.create(server.uris().getFirst().toString()).getPort();
            try (WireClient client = WireClient.tcp(port)) {
                assertThat(client.answer(ABORT)).isEqualTo(ACK);
                TestServer.awaitTrue("the connection is left", () -> server.connections() == 0);
            }
        }
    }

    @Test
    void requestsBeforeADisconnectAreAnswered() throws IOException {
        try (Server server = overTcp()) {
            int port = URI.create(server.uris().getFirst().toString()).getPort();
            try (WireClient client = WireClient.tcp(port).structured().go("memory")) {
                for (int i = 0; i < 10; i++) {
                    client.send(0, READ, i, 0, 100_000);
                }
                client.send(0, DISC, 99, 0, 0);
                for (int i = 0; i < 10; i++) {
                    assertThat(client.chunk().error()).isZero();
                }
                assertThat(client.atEnd()).isTrue();
            }
        }
    }

    @Test
    void aSocketThatTheLoopCannotTakeLeavesNothingBehind() throws IOException {
        try (TestServer server =
                new TestServer.Builder(directory).memory("memory", 1 << 20).start()) {
            server.awaitNothingInUse();
            long descriptors = TestServer.descriptors();
            // A regular file is nothing that epoll(7) takes.
            java.nio.file.Files.createFile(directory.resolve("file"));
            int fd = Files.open(directory.resolve("file").toString(), Files.READ_ONLY);
            server.server().accepted(fd, new SocketAddress.Unix("nowhere"));
            server.awaitNothingInUse();
            TestServer.awaitTrue("the descriptor leaks", () -> TestServer.descriptors() <= descriptors);
        }
    }
}

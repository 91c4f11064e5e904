package farsight.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.config.NbdUri;
import farsight.tools.Commands;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import farsight.tools.TestAuthority;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The relay between clear text and TLS, to nbdkit; what the kernel does with its end is done by a client of ours. */
class TlsRelayTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final int SIZE = 64 << 20;
    private static final int LARGE = 1 << 20;

    @TempDir
    private Path directory;

    private RunningCommand server;

    @BeforeEach
    void nbdkit() throws IOException {
        Requires.tool("nbdkit", "nbdkit");
        TestAuthority authority = new TestAuthority("the authority");
        Path own = authority.trustedIn(directory.resolve("tls"));
        authority.issue(own, "server", "server", Instant.now().plus(Duration.ofDays(1)), "localhost");
        Path pid = directory.resolve("pid");
        server = Commands.command(
                        "nbdkit",
                        "-f",
                        "-P",
                        pid.toString(),
                        "-U",
                        directory.resolve("socket").toString(),
                        "--tls=require",
                        "--tls-certificates=" + own,
                        "memory",
                        Integer.toString(SIZE))
                .start();
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (!Files.exists(pid)) {
            assertThat(System.nanoTime()).as("ready: " + server).isLessThan(deadline);
            Thread.onSpinWait();
        }
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private record Relayed(TlsRelay relay, ClientConnection connection) {}

    private Relayed connect() throws IOException {
        NbdUri uri = NbdUri.parse("nbds+unix:///?socket=" + directory.resolve("socket") + "&tls-certificates="
                + directory.resolve("tls"));
        DescriptorSocket socket = DescriptorSocket.connect(uri, LIMIT);
        Negotiated export = ClientHandshake.open(socket, "");
        TlsRelay relay = TlsRelay.start(socket);
        return new Relayed(
                relay,
                new ClientConnection(
                        DescriptorSocket.of(relay.end(), Integer.MAX_VALUE), export, ClientOptions.DEFAULT));
    }

    @Test
    void whatGoesInOnOneSideComesOutOnTheOther() throws Exception {
        Relayed relayed = connect();
        try (NbdClient client = new NbdClient(relayed.connection());
                Arena arena = Arena.ofShared()) {
            MemorySegment source = arena.allocate(SIZE);
            byte[] content = new byte[SIZE];
            new Random(7).nextBytes(content);
            MemorySegment.copy(content, 0, source, ValueLayout.JAVA_BYTE, 0, SIZE);
            MemorySegment target = arena.allocate(SIZE);
            List<CompletableFuture<?>> all = new ArrayList<>();
            for (int at = 0; at < SIZE; at += LARGE) {
                all.add(client.writeAsync(source.asSlice(at, LARGE), at, false));
            }
            CompletableFuture.allOf(all.toArray(CompletableFuture[]::new)).get(60, TimeUnit.SECONDS);
            all.clear();
            for (int at = 0; at < SIZE; at += LARGE) {
                all.add(client.readAsync(target.asSlice(at, LARGE), at));
            }
            CompletableFuture.allOf(all.toArray(CompletableFuture[]::new)).get(60, TimeUnit.SECONDS);
            assertThat(target.mismatch(source)).isEqualTo(-1);
        }
        assertThat(relayed.relay().awaitEnd(LIMIT)).as("the end of the relay").isTrue();
    }

    @Test
    void theDeathOfTheServerEndsBothSides() throws Exception {
        Relayed relayed = connect();
        try (NbdClient client = new NbdClient(relayed.connection());
                Arena arena = Arena.ofShared()) {
            client.write(arena.allocate(LARGE), 0, false);
            ProcessHandle.of(server.pid()).orElseThrow().destroyForcibly();
            assertThat(relayed.relay().awaitEnd(LIMIT))
                    .as("the end of the relay")
                    .isTrue();
            assertThatThrownBy(() -> client.write(arena.allocate(LARGE), 0, false))
                    .isInstanceOf(NbdException.class);
        }
    }

    @Test
    void whatIsLeftOnItsWayWhenTheKernelEndsStillArrives() throws Exception {
        try (Arena arena = Arena.ofShared()) {
            Relayed first = connect();
            MemorySegment source = arena.allocate(LARGE).fill((byte) 5);
            try (NbdClient client = new NbdClient(first.connection())) {
                client.write(source, 0, false);
            }
            assertThat(first.relay().awaitEnd(LIMIT)).as("the end of the relay").isTrue();
            Relayed second = connect();
            try (NbdClient client = new NbdClient(second.connection())) {
                MemorySegment target = arena.allocate(LARGE);
                client.read(target, 0);
                assertThat(target.mismatch(source)).isEqualTo(-1);
            }
        }
    }
}

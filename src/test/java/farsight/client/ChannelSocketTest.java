package farsight.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import farsight.sys.SocketAddress;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sockets of the JDK's: what they move, and that nobody who waits in one waits for ever. */
class ChannelSocketTest {
    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final Duration SHORT = Duration.ofMillis(300);
    private static final int CONNECT_MILLIS = 10_000;

    /** More than a socket holds, and than the views of memory are long. */
    private static final int MUCH = 5 << 20;

    @TempDir
    Path directory;

    private ServerSocketChannel listener;
    private SocketAddress.Unix address;
    private ClientSocket socket;
    private SocketChannel server;

    @BeforeEach
    void connect() throws IOException {
        address = SocketAddress.Unix.of(directory.resolve("s"));
        listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(address.path()), 1);
        socket = ChannelSocket.connect(address, CONNECT_MILLIS);
        assertThat(socket).isInstanceOf(ChannelSocket.class);
        server = listener.accept();
    }

    @AfterEach
    void close() throws IOException {
        socket.close();
        server.close();
        listener.close();
    }

    private static void echo(SocketChannel channel) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(100_003);
        try {
            while (channel.read(bytes.clear()) > 0) {
                bytes.flip();
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
            }
        } catch (IOException e) {
            // The client went away.
        }
    }

    private static void moves(ClientSocket socket, SocketChannel server) throws Exception {
        Thread echo = Thread.ofPlatform().daemon(true).start(() -> echo(server));
        try (Arena arena = Arena.ofShared()) {
            byte[] data = new byte[MUCH];
            new Random(MUCH).nextBytes(data);
            MemorySegment sent = arena.allocateFrom(ValueLayout.JAVA_BYTE, data);
            MemorySegment received = arena.allocate(MUCH);
            FutureTask<Void> receiving = new FutureTask<>(() -> {
                // Pieces of all lengths, here and there by turns, as headers and payloads are.
                Memory header = socket.allocate(arena, 30);
                long length = 1;
                for (long at = 0; at < MUCH; length = length * 3 % 1_500_007) {
                    int small = (int) Math.min(20, MUCH - at);
                    socket.receive(header, 10, small);
                    MemorySegment.copy(MemorySegment.ofBuffer(header.bytes().clear()), 10, received, at, small);
                    at += small;
                    long large = Math.min(length, MUCH - at);
                    socket.receive(received.asSlice(at, large));
                    at += large;
                }
                return null;
            });
            Thread.ofPlatform().daemon(true).start(receiving);
            Memory request = socket.allocate(arena, 6);
            long at = 0;
            for (long length = 1; at < MUCH; length = length * 7 % 2_000_003) {
                long small = Math.min(28, MUCH - at);
                long large = Math.min(length, MUCH - at - small);
                socket.send(sent.address() + at, small, sent.address() + at + small, large);
                at += small + large;
                int alone = (int) Math.min(5, MUCH - at);
                MemorySegment.copy(
                        sent, at, MemorySegment.ofBuffer(request.bytes().clear()), 1, alone);
                socket.send(request, 1, alone);
                at += alone;
            }
            receiving.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
            assertThat(received.mismatch(sent)).isEqualTo(-1);
        } finally {
            socket.shutdown();
            echo.join(LIMIT);
        }
    }

    @Test
    void bytesArriveAsTheyWereSent() throws Exception {
        moves(socket, server);
    }

    @ParameterizedTest
    @ValueSource(strings = {"127.0.0.1", "::1"})
    void alsoOverTcp(String host) throws Exception {
        InetAddress loopback = InetAddress.getByName(host);
        try (ServerSocketChannel tcp = ServerSocketChannel.open().bind(new InetSocketAddress(loopback, 0))) {
            int port = ((InetSocketAddress) tcp.getLocalAddress()).getPort();
            SocketAddress.Tcp place = new SocketAddress.Tcp(loopback, port);
            try (ClientSocket client = ChannelSocket.connect(place, CONNECT_MILLIS);
                    SocketChannel accepted = tcp.accept()) {
                assertThat(client).isInstanceOf(ChannelSocket.class);
                assertThat(client.peer()).isEqualTo(place.toString());
                moves(client, accepted);
            }
        }
    }

    private interface Call {
        void run() throws NbdException;
    }

    private static void fails(String message, Call call) {
        assertTimeoutPreemptively(
                LIMIT,
                () -> assertThatThrownBy(call::run)
                        .isInstanceOf(NbdException.class)
                        .hasMessageContaining(message));
    }

    private void receive() throws NbdException {
        try (Arena arena = Arena.ofConfined()) {
            socket.receive(arena.allocate(1));
        }
    }

    @Test
    void aLimitEndsWhatIsReceived() {
        socket.limit(SHORT);
        fails("does it speak NBD?", this::receive);
        fails("does it speak NBD?", this::receive);
    }

    /** Each byte comes in time, all of them do not. */
    @Test
    void aLimitIsForAllThatIsReceived() {
        Thread.ofPlatform().daemon(true).start(() -> {
            try {
                while (true) {
                    server.write(ByteBuffer.allocate(1));
                    TimeUnit.MILLISECONDS.sleep(SHORT.toMillis() / 10); // a slow server
                }
            } catch (IOException | InterruptedException e) {
                // The client went away.
            }
        });
        socket.limit(SHORT);
        fails("does it speak NBD?", () -> {
            while (true) {
                receive();
            }
        });
    }

    @Test
    void aLimitThatIsLiftedEndsNothing() throws Exception {
        socket.limit(SHORT);
        socket.limit(Duration.ZERO);
        FutureTask<Void> receiving = inBackground(this::receive);
        TimeUnit.MILLISECONDS.sleep(2 * SHORT.toMillis()); // the time of the limit, and more
        assertThat(receiving.isDone()).isFalse();
        server.write(ByteBuffer.allocate(1));
        receiving.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
    }

    private static FutureTask<Void> inBackground(Call call) {
        FutureTask<Void> task = new FutureTask<>(() -> {
            call.run();
            return null;
        });
        Thread.ofPlatform().daemon(true).start(task);
        return task;
    }

    @Test
    void whoeverIsOverdueIsGivenUp() throws NbdException {
        socket.patience(SHORT, () -> true);
        fails("does not answer any more", this::receive);
    }

    @Test
    void whoeverTakesNothingIsGivenUp() throws NbdException {
        socket.patience(SHORT, () -> true);
        try (Arena arena = Arena.ofShared()) {
            MemorySegment much = arena.allocate(MUCH);
            fails("does not answer any more", () -> socket.send(much));
        }
    }

    @Test
    void whoeverOwesNothingMayBeSilent() throws Exception {
        CountDownLatch asked = new CountDownLatch(3);
        socket.patience(SHORT, () -> {
            asked.countDown();
            return false;
        });
        FutureTask<Void> receiving = inBackground(this::receive);
        assertThat(asked.await(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
        assertThat(receiving.isDone()).isFalse();
        server.write(ByteBuffer.allocate(1));
        receiving.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
    }

    /** It answers slowly, but always within the time. */
    @Test
    void whoeverMovesSomethingIsNotAskedAbout() throws Exception {
        AtomicInteger asked = new AtomicInteger();
        socket.patience(Duration.ofSeconds(4), () -> {
            asked.incrementAndGet();
            return true;
        });
        for (int i = 0; i < 50; i++) {
            FutureTask<Void> receiving = inBackground(this::receive);
            TimeUnit.MILLISECONDS.sleep(100); // a slow server
            server.write(ByteBuffer.allocate(1));
            receiving.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
        }
        assertThat(asked).hasValue(0);
    }

    @Test
    void aServerThatGoesIsSaidToHaveGone() throws IOException {
        server.close();
        fails("the server closed the connection", this::receive);
        try (Arena arena = Arena.ofShared()) {
            MemorySegment much = arena.allocate(MUCH);
            fails("the server closed the connection", () -> socket.send(much));
        }
    }

    @Test
    void whoeverReceivesReturnsWhenTheSocketIsShutDown() throws Exception {
        FutureTask<Void> receiving = inBackground(this::receive);
        TimeUnit.MILLISECONDS.sleep(100); // so that it waits in the call, most probably
        socket.shutdown();
        assertThatThrownBy(() -> receiving.get(LIMIT.toSeconds(), TimeUnit.SECONDS))
                .hasCauseInstanceOf(NbdException.class);
    }

    @Test
    void anInterruptIsCalledThat() {
        fails("interrupted", () -> {
            Thread.currentThread().interrupt();
            receive();
        });
    }

    // ---- connecting ----------------------------------------------------------------------------------------------

    private static String refusal(Call call) {
        try {
            call.run();
        } catch (NbdException e) {
            return e.getMessage();
        }
        throw new AssertionError("connected");
    }

    @Test
    void whatCannotBeReachedIsSaidAsByNativeCalls() throws IOException {
        Path file = Files.createFile(directory.resolve("file"));
        List<SocketAddress> nobody = List.of(
                SocketAddress.Unix.of(directory.resolve("nobody")),
                SocketAddress.Unix.of(file),
                new SocketAddress.Unix(""),
                new SocketAddress.Tcp(InetAddress.getByName("127.0.0.1"), 1),
                new SocketAddress.Tcp(InetAddress.getByName("::1"), 1));
        for (SocketAddress place : nobody) {
            assertThat(refusal(() -> ChannelSocket.connect(place, CONNECT_MILLIS)))
                    .startsWith("cannot reach the server at " + place)
                    .isEqualTo(refusal(() -> DescriptorSocket.connect(place, CONNECT_MILLIS)));
        }
    }

    /** As many wait to be accepted as may. */
    @Test
    void aServerThatAcceptsNobodyIsGivenUp() throws IOException {
        List<ClientSocket> waiting = new ArrayList<>();
        try {
            fails("cannot reach the server at " + address, () -> {
                while (true) {
                    waiting.add(ChannelSocket.connect(address, (int) SHORT.toMillis()));
                }
            });
            assertThat(waiting).hasSizeLessThan(10);
        } finally {
            waiting.forEach(ClientSocket::close);
        }
    }
}

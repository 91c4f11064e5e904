package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.client.NbdClient;
import farsight.config.Io;
import farsight.sys.ErrnoException;
import farsight.sys.EventFd;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Devices whose completions are reaped by a loop: their connections move there, and nothing is lost on the way. */
class HomeLoopTest {
    private static final int SIZE = 1 << 20;
    private static final int BLOCK = 512;
    private static final int LOOPS = 3;

    @TempDir
    Path directory;

    /** Memory whose requests another thread finishes and only {@link #reap} completes. */
    private static final class ReapedDevice implements AsyncBlockDevice {
        private final Arena arena = Arena.ofShared();
        private final MemorySegment memory = arena.allocate(SIZE);
        private final EventFd events;
        private final ConcurrentLinkedQueue<Request> finished = new ConcurrentLinkedQueue<>();
        private final AtomicInteger atDevice = new AtomicInteger();
        private final Set<Thread> callers = ConcurrentHashMap.newKeySet();
        private volatile boolean closed;

        ReapedDevice() throws ErrnoException {
            events = new EventFd();
        }

        @Override
        public long size() {
            return SIZE;
        }

        @Override
        public Set<Feature> features() {
            return Set.of(Feature.FLUSH);
        }

        @Override
        public int completionDescriptor() {
            return events.fd();
        }

        @Override
        public void submit(Request request) {
            assertThat(closed).isFalse();
            callers.add(Thread.currentThread());
            atDevice.incrementAndGet();
            Thread.startVirtualThread(() -> {
                MemorySegment buffer = request.buffer();
                switch (request.command()) {
                    case READ -> MemorySegment.copy(memory, request.offset(), buffer, 0, request.length());
                    case WRITE -> MemorySegment.copy(buffer, 0, memory, request.offset(), request.length());
                    default -> {}
                }
                finished.add(request);
                events.signal();
            });
        }

        @Override
        public void reap() {
            callers.add(Thread.currentThread());
            Request request;
            while ((request = finished.poll()) != null) {
                atDevice.decrementAndGet();
                request.complete();
            }
        }

        @Override
        public void close() {
            assertThat(atDevice.get()).isZero();
            closed = true;
            events.close();
            arena.close();
        }
    }

    private TestServer serve(Io io, ReapedDevice device) throws IOException {
        return new TestServer.Builder(directory)
                .device("reaped", device)
                .io(io)
                .loops(LOOPS)
                .start();
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"EPOLL", "URING"})
    void allConnectionsAreServedByTheOneLoopThatReaps(Io io) throws Exception {
        ReapedDevice device = new ReapedDevice();
        try (TestServer server = serve(io, device);
                Arena arena = Arena.ofConfined()) {
            List<NbdClient> clients = new ArrayList<>();
            for (int i = 0; i < 2 * LOOPS; i++) {
                clients.add(NbdClient.connect(server.uri("reaped")));
            }
            for (int i = 0; i < clients.size(); i++) {
                MemorySegment block = arena.allocate(BLOCK).fill((byte) (i + 1));
                clients.get(i).write(block, (long) i * BLOCK, true);
            }
            MemorySegment all = arena.allocate((long) clients.size() * BLOCK);
            for (NbdClient client : clients) {
                client.read(all, 0);
                for (int i = 0; i < clients.size(); i++) {
                    assertThat(all.get(ValueLayout.JAVA_BYTE, (long) i * BLOCK)).isEqualTo((byte) (i + 1));
                }
            }
            for (NbdClient client : clients) {
                client.close();
            }
            TestServer.awaitTrue("the device is not closed", () -> device.closed);
        }
        assertThat(device.callers).hasSize(1);
        assertThat(device.callers.iterator().next().getName()).startsWith("loop-");
    }

    /** New connections come to a loop that has none, and have to move; one send has the option and requests after it. */
    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"EPOLL", "URING"})
    void whatIsSentAheadWithTheOptionIsCarriedAlong(Io io) throws Exception {
        int writes = 90;
        byte[] session = session(writes);
        assertThat(session.length).isGreaterThan(40_000);
        ReapedDevice device = new ReapedDevice();
        try (TestServer server = serve(io, device)) {
            NbdClient holder = NbdClient.connect(server.uri("reaped"));
            for (int i = 0; i < 2 * LOOPS; i++) {
                try (SocketChannel channel = server.connect()) {
                    ByteBuffer bytes = ByteBuffer.wrap(session);
                    while (bytes.hasRemaining()) {
                        channel.write(bytes);
                    }
                    expectAnswers(new DataInputStream(Channels.newInputStream(channel)), writes);
                }
                for (int block = 0; block < writes; block++) {
                    MemorySegment content = device.memory.asSlice((long) block * BLOCK, BLOCK);
                    assertThat(content.mismatch(MemorySegment.ofArray(block(block))))
                            .isEqualTo(-1);
                }
                device.memory.fill((byte) 0);
            }
            holder.close();
        }
        assertThat(device.callers).hasSize(1);
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"EPOLL", "URING"})
    void clientsMayDieAtAnyByteOfTheirMove(Io io) throws Exception {
        byte[] session = session(3);
        int go = session.length - (3 * 2 * 28 + 3 * BLOCK);
        ReapedDevice device = new ReapedDevice();
        try (TestServer server = serve(io, device)) {
            NbdClient holder = NbdClient.connect(server.uri("reaped"));
            for (int length = go - 2; length < session.length; length += 7) {
                try (SocketChannel channel = server.connect()) {
                    ByteBuffer bytes = ByteBuffer.wrap(session, 0, length);
                    while (bytes.hasRemaining()) {
                        channel.write(bytes);
                    }
                }
            }
            TestServer.awaitTrue("connections are left", () -> server.server().connections() == 1);
            holder.close();
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"EPOLL", "URING"})
    void aServerStopsWhileConnectionsMove(Io io) throws Exception {
        byte[] session = session(20);
        for (int round = 0; round < 20; round++) {
            ReapedDevice device = new ReapedDevice();
            TestServer server = serve(io, device);
            List<SocketChannel> channels = new ArrayList<>();
            for (int i = 0; i < 2 * LOOPS; i++) {
                SocketChannel channel = server.connect();
                channel.write(ByteBuffer.wrap(session));
                channels.add(channel);
            }
            // Not awaiting anything: the stop meets them wherever they are.
            server.server().close();
            for (SocketChannel channel : channels) {
                channel.close();
            }
            assertThat(server.server().connections()).isZero();
            assertThat(device.atDevice.get()).isZero();
        }
    }

    // ---- the wire ------------------------------------------------------------------------------------------------

    /** Client flags, NBD_OPT_EXPORT_NAME, then each block written and read back, all without waiting. */
    private static byte[] session(int writes) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.writeInt(3); // fixed newstyle, no zeroes
            out.writeLong(0x49484156454f5054L);
            out.writeInt(1);
            out.writeInt("reaped".length());
            out.writeBytes("reaped");
            for (int i = 0; i < writes; i++) {
                request(out, 1, i, (long) i * BLOCK);
                out.write(block(i));
            }
            for (int i = 0; i < writes; i++) {
                request(out, 0, writes + i, (long) i * BLOCK);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    private static byte[] block(int index) {
        byte[] block = new byte[BLOCK];
        Arrays.fill(block, (byte) (index + 1));
        return block;
    }

    private static void request(DataOutputStream out, int type, long cookie, long offset) throws IOException {
        out.writeInt(0x25609513);
        out.writeShort(0);
        out.writeShort(type);
        out.writeLong(cookie);
        out.writeLong(offset);
        out.writeInt(BLOCK);
    }

    private static void expectAnswers(DataInputStream in, int writes) throws IOException {
        in.skipNBytes(18); // greeting
        assertThat(in.readLong()).isEqualTo(SIZE);
        in.readShort();
        boolean[] answered = new boolean[2 * writes];
        for (int i = 0; i < 2 * writes; i++) {
            assertThat(in.readInt()).isEqualTo(0x67446698);
            assertThat(in.readInt()).isZero();
            int cookie = (int) in.readLong();
            assertThat(answered[cookie]).isFalse();
            answered[cookie] = true;
            if (cookie >= writes) {
                // Reads may overtake the writes that they were sent after; all that can be said is their length.
                in.skipNBytes(BLOCK);
            }
        }
        assertThat(in.available()).isZero();
    }
}

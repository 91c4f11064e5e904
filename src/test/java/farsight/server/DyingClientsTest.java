package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.client.NbdClient;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A client may die after any byte that it sends: it costs its own connection and nothing else. */
class DyingClientsTest {
    private static final int PAYLOAD = 3000;
    private static final long SIZE = 1 << 20;

    @TempDir
    Path directory;

    private TestServer serve() throws IOException {
        return new TestServer.Builder(directory)
                .memory("memory", SIZE)
                .file("file", directory.resolve("disk.img"), SIZE)
                .start();
    }

    /** Handshake (every kind of option), then a write, a read and a flush. */
    private static byte[] session(String export) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeInt(3);
        option(out, 3, new byte[0]);
        option(out, 99, new byte[5]);
        byte[] go = go(export);
        option(out, 6, go);
        option(out, 7, go);
        request(out, 1, 0, 1, 512, PAYLOAD);
        out.write(new byte[PAYLOAD]);
        request(out, 0, 0, 2, 0, 4096);
        request(out, 3, 0, 3, 0, 0);
        return bytes.toByteArray();
    }

    private static byte[] go(String export) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeInt(export.length());
        out.writeBytes(export);
        out.writeShort(1);
        out.writeShort(3);
        return bytes.toByteArray();
    }

    private static void option(DataOutputStream out, int option, byte[] data) throws IOException {
        out.writeLong(0x49484156454f5054L);
        out.writeInt(option);
        out.writeInt(data.length);
        out.write(data);
    }

    private static void request(DataOutputStream out, int type, int flags, long cookie, long offset, int length)
            throws IOException {
        out.writeInt(0x25609513);
        out.writeShort(flags);
        out.writeShort(type);
        out.writeLong(cookie);
        out.writeLong(offset);
        out.writeInt(length);
    }

    private static void send(SocketChannel channel, byte[] bytes, int from, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes, from, length);
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    private static void serves(TestServer server, String export) throws IOException {
        try (NbdClient client = NbdClient.connect(server.uri(export));
                Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(4096);
            data.fill((byte) 7);
            client.write(data, 8192, true);
            MemorySegment back = arena.allocate(4096);
            client.read(back, 8192);
            assertThat(back.mismatch(data)).isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "file"})
    void dyingAfterAnyByteLeavesNothingBehind(String export) throws IOException {
        byte[] session = session(export);
        try (TestServer server = serve()) {
            serves(server, export);
            server.awaitNothingInUse();
            long descriptors = TestServer.descriptors();
            for (int length = 0; length <= session.length; length = next(length, session.length)) {
                try (SocketChannel channel = server.connect()) {
                    send(channel, session, 0, length);
                }
                if (length % 64 == 0) {
                    serves(server, export);
                }
            }
            serves(server, export);
            server.awaitNothingInUse();
            // The workers of the file and the loop itself hold what they held before.
            TestServer.awaitTrue("descriptors leak", () -> TestServer.descriptors() <= descriptors);
        }
    }

    /** Every position but within the payload, of which the ends and the middle stand for the rest. */
    private static int next(int length, int total) {
        int payloadEnd = total - 2 * 28;
        int payloadStart = payloadEnd - PAYLOAD;
        boolean inMiddle = length > payloadStart + 64 && length < payloadEnd - 64;
        return inMiddle ? Math.min(length + 97, payloadEnd - 64) : length + 1;
    }

    @Test
    void theSameBytesOneByOneAreServed() throws IOException {
        byte[] session = session("file");
        try (TestServer server = serve()) {
            try (SocketChannel channel = server.connect()) {
                for (int i = 0; i < session.length; i++) {
                    send(channel, session, i, 1);
                }
                byte[] replies = receiveTail(channel, 16 + 16 + 4096 + 16);
                // Replies come in any order, but each begins with the magic of simple replies.
                assertThat(ByteBuffer.wrap(replies).getInt()).isEqualTo(0x67446698);
                assertThat(ByteBuffer.wrap(replies).getInt(4)).isZero();
            }
            server.awaitNothingInUse();
        }
    }

    @Test
    void everyMessageSplitAnywhereIsServed() throws IOException {
        byte[] session = session("memory");
        try (TestServer server = serve()) {
            for (int split = 1; split < session.length; split = next(split, session.length)) {
                try (SocketChannel channel = server.connect()) {
                    send(channel, session, 0, split);
                    channel.write(ByteBuffer.wrap(session, split, session.length - split));
                    receiveTail(channel, 16 + 16 + 4096 + 16);
                }
            }
            server.awaitNothingInUse();
        }
    }

    /** Reads all of the handshake's answers and then the given number of bytes. */
    private static byte[] receiveTail(SocketChannel channel, int tail) throws IOException {
        receive(channel, 18);
        while (true) {
            ByteBuffer header = ByteBuffer.wrap(receive(channel, 20));
            int option = header.getInt(8);
            int type = header.getInt(12);
            receive(channel, header.getInt(16));
            if (option == 7 && type == 1) {
                return receive(channel, tail);
            }
        }
    }

    private static byte[] receive(SocketChannel channel, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(length);
        while (buffer.hasRemaining()) {
            assertThat(channel.read(buffer)).as("bytes before the end").isPositive();
        }
        return buffer.array();
    }
}

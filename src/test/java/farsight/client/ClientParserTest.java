package farsight.client;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.protocol.Nbd;
import farsight.sys.ErrnoException;
import farsight.sys.Sockets;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What the client makes of a server's bytes: cut anywhere they mean the same, and changed anyhow they end in an
 * {@link NbdException} or a valid reading, never in another failure and never with a byte outside of what was asked for.
 */
class ClientParserTest {
    /** Mutations of one stream with one seed; a failure names both. */
    private static final int MUTATIONS = 20_000;

    private static final int GUARD = 4096;
    private static final byte CANARY = 0x5c;

    /** A stream that ends after its bytes, cut as a test wants. */
    private record Recorded(byte[] bytes, int cut, int[] position) implements Transport {
        Recorded(byte[] bytes, int cut) {
            this(bytes, cut, new int[1]);
        }

        @Override
        public String peer() {
            return "recorded";
        }

        @Override
        public long receiveSome(long address, long length) throws NbdException {
            int at = position[0];
            if (at == bytes.length) {
                throw new NbdException("recorded: the server closed the connection");
            }
            int end = at < cut ? Math.min(cut, bytes.length) : bytes.length;
            int n = (int) Math.min(length, end - at);
            MemorySegment target = farsight.sys.Native.view(address, n);
            MemorySegment.copy(bytes, at, target, ValueLayout.JAVA_BYTE, 0, n);
            position[0] += n;
            return n;
        }

        @Override
        public void send(long address, long length) {}
    }

    /** What became of the requests of a stream. */
    private static final class Outcome implements ReplyReader.Waiting {
        final Arena arena = Arena.ofConfined();
        final List<ClientRequest> open = new ArrayList<>();
        final StringBuilder results = new StringBuilder();
        final MemorySegment guarded = arena.allocate(3 * GUARD).fill(CANARY);

        Outcome() {
            add(1, Nbd.NBD_CMD_READ, 8192, GUARD, guarded.asSlice(GUARD, GUARD));
            add(2, Nbd.NBD_CMD_BLOCK_STATUS, 0, 1 << 20, null);
            add(3, Nbd.NBD_CMD_FLUSH, 0, 0, null);
            add(4, Nbd.NBD_CMD_WRITE_ZEROES, 4096, 1L << 33, null);
        }

        private void add(long cookie, int type, long offset, long length, MemorySegment memory) {
            ClientRequest request = new ClientRequest(type, 0, offset, length, memory) {
                @Override
                void done(IOException failureOrNull) {
                    results.append(cookie)
                            .append(": ")
                            .append(failureOrNull)
                            .append(' ')
                            .append(statuses)
                            .append('\n');
                }
            };
            request.cookie = cookie;
            open.add(request);
        }

        @Override
        public ClientRequest find(long cookie) {
            for (ClientRequest request : open) {
                if (request.cookie == cookie) {
                    return request;
                }
            }
            return null;
        }

        @Override
        public void answered(ClientRequest request, IOException failureOrNull) {
            open.remove(request);
            request.done(failureOrNull);
        }

        /** Reads all, and says what came out. */
        String read(byte[] stream, int cut, boolean structured, boolean extended) {
            List<MetaContext> contexts = List.of(new MetaContext(7, "base:allocation"), new MetaContext(9, "x:y"));
            try (ReplyReader reader =
                    new ReplyReader(new Recorded(stream, cut), structured, extended, contexts, this)) {
                while (true) {
                    reader.next();
                }
            } catch (NbdException e) {
                results.append(e.getMessage());
            }
            for (int i = 0; i < GUARD; i++) {
                assertThat(guarded.get(ValueLayout.JAVA_BYTE, i)).isEqualTo(CANARY);
                assertThat(guarded.get(ValueLayout.JAVA_BYTE, 2 * GUARD + i)).isEqualTo(CANARY);
            }
            return results.append('\n')
                    .append(guarded.asSlice(GUARD, GUARD).asByteBuffer().hashCode())
                    .toString();
        }
    }

    private static String outcome(byte[] stream, int cut, String style) {
        Outcome outcome = new Outcome();
        try (outcome.arena) {
            return outcome.read(stream, cut, !style.equals("simple"), style.equals("extended"));
        }
    }

    /** Answers to the four requests in each style. */
    private static byte[] recorded(String style) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        if (style.equals("simple")) {
            simple(out, 3, 0);
            simple(out, 1, 0);
            out.write(content(GUARD));
            simple(out, 4, Nbd.NBD_ENOSPC);
            return bytes.toByteArray();
        }
        boolean wide = style.equals("extended");
        chunk(out, wide, 1, 0, Nbd.NBD_REPLY_TYPE_OFFSET_DATA, o -> {
            o.writeLong(9000);
            o.write(content(700));
        });
        chunk(out, wide, 2, 0, wide ? Nbd.NBD_REPLY_TYPE_BLOCK_STATUS_EXT : Nbd.NBD_REPLY_TYPE_BLOCK_STATUS, o -> {
            o.writeInt(7);
            for (long value : new long[] {65536, 0, 983_040, 3}) {
                if (wide && value == 65536) {
                    o.writeInt(2);
                }
                if (wide) {
                    o.writeLong(value);
                } else {
                    o.writeInt((int) value);
                }
            }
        });
        chunk(out, wide, 1, 0, Nbd.NBD_REPLY_TYPE_OFFSET_HOLE, o -> {
            o.writeLong(9700);
            o.writeInt(12288 - 9700);
        });
        chunk(out, wide, 4, 0, Nbd.NBD_REPLY_TYPE_ERROR_OFFSET, o -> {
            o.writeInt(Nbd.NBD_EIO);
            o.writeShort(4);
            o.writeBytes("oops");
            o.writeLong(5000);
        });
        chunk(out, wide, 3, 1, Nbd.NBD_REPLY_TYPE_NONE, o -> {});
        chunk(out, wide, 1, 1, Nbd.NBD_REPLY_TYPE_OFFSET_DATA, o -> {
            o.writeLong(8192);
            o.write(content(808));
        });
        chunk(out, wide, 2, 1, Nbd.NBD_REPLY_TYPE_NONE, o -> {});
        chunk(out, wide, 4, 1, Nbd.NBD_REPLY_TYPE_NONE, o -> {});
        return bytes.toByteArray();
    }

    private static byte[] content(int length) {
        byte[] content = new byte[length];
        new Random(length).nextBytes(content);
        return content;
    }

    private static void simple(DataOutputStream out, long cookie, int error) throws IOException {
        out.writeInt(Nbd.NBD_SIMPLE_REPLY_MAGIC);
        out.writeInt(error);
        out.writeLong(cookie);
    }

    private static void chunk(
            DataOutputStream out, boolean wide, long cookie, int flags, int type, ScriptedServer.Message payload)
            throws IOException {
        long[] offsets = {0, 8192, 0, 0, 4096};
        byte[] bytes = ScriptedServer.bytes(payload);
        out.writeInt(wide ? Nbd.NBD_EXTENDED_REPLY_MAGIC : Nbd.NBD_STRUCTURED_REPLY_MAGIC);
        out.writeShort(flags);
        out.writeShort(type);
        out.writeLong(cookie);
        if (wide) {
            out.writeLong(offsets[(int) cookie]);
            out.writeLong(bytes.length);
        } else {
            out.writeInt(bytes.length);
        }
        out.write(bytes);
    }

    @ParameterizedTest
    @ValueSource(strings = {"simple", "structured", "extended"})
    void repliesMeanTheSameWhereverTheyAreCut(String style) throws IOException {
        byte[] stream = recorded(style);
        String whole = outcome(stream, 0, style);
        assertThat(whole).contains("3: null", "1: null", "4: farsight.client.NbdException");
        assertThat(whole).contains("recorded: the server closed the connection");
        for (int cut = 1; cut < stream.length; cut++) {
            assertThat(outcome(stream, cut, style)).as("cut at %d", cut).isEqualTo(whole);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"simple", "structured", "extended"})
    void changedRepliesNeverDoHarm(String style) throws IOException {
        byte[] stream = recorded(style);
        for (int seed = 0; seed < MUTATIONS; seed++) {
            byte[] changed = mutated(stream, new Random(seed));
            try {
                outcome(changed, 0, style);
            } catch (RuntimeException | Error e) {
                throw new AssertionError(style + ", seed " + seed, e);
            }
        }
    }

    /** Some bytes changed, left out or doubled; where numbers lie more often than elsewhere. */
    private static byte[] mutated(byte[] stream, Random random) {
        byte[] changed = stream.clone();
        for (int i = random.nextInt(4); i >= 0; i--) {
            int at = random.nextBoolean()
                    ? random.nextInt(changed.length)
                    : random.nextInt(Math.min(60, changed.length));
            switch (random.nextInt(5)) {
                case 0 -> changed[at] = (byte) random.nextInt();
                case 1 -> changed[at] = (byte) (changed[at] + 1 - 2 * random.nextInt(2));
                case 2 -> changed[at] = (byte) (random.nextBoolean() ? 0 : -1);
                case 3 -> changed = java.util.Arrays.copyOf(changed, Math.max(1, at));
                default -> {
                    int length = random.nextInt(changed.length - at);
                    System.arraycopy(stream, random.nextInt(stream.length - length), changed, at, length);
                }
            }
        }
        return changed;
    }

    // ---- handshake -----------------------------------------------------------------------------------------------

    private static byte[] handshake() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeLong(Nbd.NBD_MAGIC);
        out.writeLong(Nbd.IHAVEOPT);
        out.writeShort(3);
        reply(out, Nbd.NBD_OPT_EXTENDED_HEADERS, Nbd.NBD_REP_ERR_UNSUP, o -> o.writeBytes("never heard of it"));
        reply(out, Nbd.NBD_OPT_STRUCTURED_REPLY, Nbd.NBD_REP_ACK, o -> {});
        reply(out, Nbd.NBD_OPT_SET_META_CONTEXT, Nbd.NBD_REP_META_CONTEXT, o -> {
            o.writeInt(7);
            o.writeBytes("base:allocation");
        });
        reply(out, Nbd.NBD_OPT_SET_META_CONTEXT, Nbd.NBD_REP_ACK, o -> {});
        reply(out, Nbd.NBD_OPT_GO, Nbd.NBD_REP_INFO, o -> {
            o.writeShort(Nbd.NBD_INFO_EXPORT);
            o.writeLong(Long.MAX_VALUE);
            o.writeShort(0x15ed);
        });
        reply(out, Nbd.NBD_OPT_GO, Nbd.NBD_REP_INFO, o -> {
            o.writeShort(Nbd.NBD_INFO_DESCRIPTION);
            o.writeBytes("a disk");
        });
        reply(out, Nbd.NBD_OPT_GO, Nbd.NBD_REP_INFO, o -> {
            o.writeShort(Nbd.NBD_INFO_BLOCK_SIZE);
            o.writeInt(512);
            o.writeInt(4096);
            o.writeInt(-1);
        });
        reply(out, Nbd.NBD_OPT_GO, Nbd.NBD_REP_ACK, o -> {});
        return bytes.toByteArray();
    }

    private static void reply(DataOutputStream out, int option, int type, ScriptedServer.Message payload)
            throws IOException {
        byte[] data = ScriptedServer.bytes(payload);
        out.writeLong(Nbd.NBD_REP_MAGIC);
        out.writeInt(option);
        out.writeInt(type);
        out.writeInt(data.length);
        out.write(data);
    }

    /** Both directions of a handshake fit into the buffers of a socket, so that one thread can play both ends. */
    private static String negotiate(byte[] stream, int most) throws ErrnoException {
        int[] pair = Sockets.pair();
        try (DescriptorSocket socket = DescriptorSocket.of(pair[0], most);
                Arena arena = Arena.ofConfined();
                var state = farsight.sys.CallState.open()) {
            MemorySegment bytes = arena.allocateFrom(ValueLayout.JAVA_BYTE, stream);
            assertThat(Sockets.send(state, pair[1], bytes.address(), bytes.byteSize()))
                    .isEqualTo(stream.length);
            farsight.sys.QuickCalls.endSending(pair[1]);
            ClientOptions options = ClientOptions.DEFAULT.withContexts(List.of(ClientOptions.ALLOCATION));
            return ClientHandshake.open(socket, "disk", options).toString();
        } catch (NbdException e) {
            return e.getMessage();
        } finally {
            Sockets.close(pair[1]);
        }
    }

    @Test
    void handshakesMeanTheSameInPiecesOfAnySize() throws IOException {
        byte[] stream = handshake();
        String whole = negotiate(stream, Integer.MAX_VALUE);
        assertThat(whole).contains("size=9223372036854775807", "minimumBlock=512", "maximumPayload=67108864");
        for (int most = 1; most <= 64; most++) {
            assertThat(negotiate(stream, most)).as("pieces of %d", most).isEqualTo(whole);
        }
    }

    @Test
    void handshakesThatEndAnywhereEndInOneLine() throws IOException {
        byte[] stream = handshake();
        for (int length = 0; length < stream.length; length++) {
            assertThat(negotiate(java.util.Arrays.copyOf(stream, length), Integer.MAX_VALUE))
                    .as("ends at %d", length)
                    .contains("the server closed the connection")
                    .doesNotContain("\n");
        }
    }

    @Test
    void changedHandshakesNeverDoHarm() throws IOException {
        byte[] stream = handshake();
        for (int seed = 0; seed < 3000; seed++) {
            byte[] changed = mutated(stream, new Random(seed));
            try {
                assertThat(negotiate(changed, Integer.MAX_VALUE)).isNotBlank();
            } catch (RuntimeException | Error e) {
                throw new AssertionError("seed " + seed, e);
            }
        }
    }

    @Test
    void coverageKnowsWhatIsThere() {
        Random random = new Random(5);
        for (int round = 0; round < 300; round++) {
            Coverage coverage = new Coverage();
            boolean[] model = new boolean[40];
            for (int i = 0; i < 60; i++) {
                int start = random.nextInt(40);
                int end = start + 1 + random.nextInt(Math.min(6, 40 - start));
                boolean taken = false;
                for (int at = start; at < end; at++) {
                    taken |= model[at];
                }
                assertThat(coverage.add(start, end)).isEqualTo(taken ? Coverage.Fit.OVERLAPPING : Coverage.Fit.NEW);
                if (!taken) {
                    java.util.Arrays.fill(model, start, end, true);
                }
                boolean all = true;
                for (boolean one : model) {
                    all &= one;
                }
                assertThat(coverage.is(0, 40)).isEqualTo(all);
            }
        }
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.config.Limits;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Random requests, good and bad ones, over several connections, against an array of bytes and a model of the rules of its
 * own. A sequence is made from one number, which a failure tells: {@code -Dfarsight.sequence=NUMBER} runs that one again.
 */
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SequenceTest {
    private static final int SIZE = 256 << 10;
    private static final int CLIENTS = 3;

    /** Sequences for one kind of storage and one kind of replies. */
    private static final int SEQUENCES = Integer.getInteger("farsight.sequences", 300);

    private static final int BATCHES = 6;
    private static final int MOST_AT_ONCE = 6;

    @TempDir
    Path directory;

    private enum Style {
        SIMPLE,
        STRUCTURED,
        EXTENDED
    }

    /** One request as it was made. */
    private record Step(int type, int flags, long offset, long length, byte[] payload, int error) {
        @Override
        public String toString() {
            return "%s flags 0x%x at %s of %s, expecting %s"
                    .formatted(
                            Nbd.commandName(type),
                            flags,
                            Long.toUnsignedString(offset),
                            Long.toUnsignedString(length),
                            error == 0 ? "success" : Nbd.errorName(error));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "memory, SIMPLE", "memory, STRUCTURED", "memory, EXTENDED",
        "file, SIMPLE", "file, STRUCTURED", "file, EXTENDED",
        "blocks, SIMPLE", "blocks, STRUCTURED", "blocks, EXTENDED"
    })
    void randomSequencesGiveWhatTheModelGives(String export, Style style) throws IOException {
        Sectors sectors = new Sectors(SIZE, 4096, 1 << 20);
        Limits patient = new Limits(64, 64, 64 << 20, Integer.MAX_VALUE, 64, Duration.ofSeconds(30), 64 << 20);
        Long only = Long.getLong("farsight.sequence");
        long first = only != null ? only : System.nanoTime();
        try (TestServer server = new TestServer.Builder(directory)
                .memory("memory", SIZE)
                .file("file", directory.resolve("disk.img"), SIZE)
                .device("blocks", sectors)
                .limits(patient)
                .loops(2)
                .start()) {
            RawClient[] clients = new RawClient[CLIENTS];
            try {
                for (int i = 0; i < CLIENTS; i++) {
                    clients[i] = open(server, export, style);
                }
                for (long seed = first; seed < first + (only != null ? 1 : SEQUENCES); seed++) {
                    new Sequence(clients, new Random(seed), seed).run();
                }
            } finally {
                for (RawClient client : clients) {
                    if (client != null) {
                        client.close();
                    }
                }
            }
            assertThat(sectors.mistakes).isEmpty();
        }
    }

    private static RawClient open(TestServer server, String export, Style style) throws IOException {
        RawClient client = RawClient.greet(server.connect());
        if (style != Style.SIMPLE) {
            boolean granted = style == Style.STRUCTURED ? client.negotiateStructured() : client.negotiateExtended();
            assertThat(granted).isTrue();
            assertThat(client.granted(Nbd.NBD_OPT_SET_META_CONTEXT, RawClient.contexts(export, "base:allocation")))
                    .isTrue();
        }
        return client.go(export);
    }

    /** One sequence: the storage is filled, then batches of requests that do not disturb each other. */
    private static final class Sequence {
        private final RawClient[] clients;
        private final Random random;
        private final String name;
        private final int flags;
        private final byte[] model = new byte[SIZE];
        private long cookies;

        /** What may have any content, because it was trimmed. */
        private final boolean[] unknown = new boolean[SIZE];

        Sequence(RawClient[] clients, Random random, long seed) {
            this.clients = clients;
            this.random = random;
            this.flags = clients[0].flags();
            this.name = "-Dfarsight.sequence=" + seed;
        }

        void run() throws IOException {
            cookies = random.nextLong();
            byte[] all = new byte[SIZE];
            if (random.nextBoolean()) {
                random.nextBytes(all);
            }
            int fua = extended() ? Nbd.NBD_CMD_FLAG_PAYLOAD_LEN : 0;
            perform(List.of(new Step(Nbd.NBD_CMD_WRITE, fua, 0, SIZE, all, 0)));
            for (int batch = 0; batch < BATCHES; batch++) {
                perform(batch());
            }
            perform(List.of(new Step(Nbd.NBD_CMD_READ, 0, 0, SIZE, new byte[0], 0)));
        }

        private boolean extended() {
            return clients[0].extended();
        }

        private boolean structured() {
            return clients[0].structured();
        }

        // ---- making requests -------------------------------------------------------------------------------------

        private List<Step> batch() {
            List<Step> steps = new ArrayList<>();
            int count = 1 + random.nextInt(MOST_AT_ONCE);
            for (int i = 0; i < count; i++) {
                Step step = step();
                if (step.error() != 0 || steps.stream().noneMatch(other -> disturb(step, other))) {
                    steps.add(step);
                }
            }
            return steps;
        }

        /** Whether the result of one depends on when the other happens. Neighbours in a block must not. */
        private static boolean disturb(Step one, Step other) {
            boolean change = changes(one) || changes(other);
            return change
                    && other.error() == 0
                    && one.offset() < other.offset() + other.length()
                    && other.offset() < one.offset() + one.length();
        }

        private static boolean changes(Step step) {
            return step.type() == Nbd.NBD_CMD_WRITE
                    || step.type() == Nbd.NBD_CMD_WRITE_ZEROES
                    || step.type() == Nbd.NBD_CMD_TRIM;
        }

        private Step step() {
            int type = random.nextInt(12) == 0 ? random.nextInt(20) : random.nextInt(8);
            if (type == Nbd.NBD_CMD_DISC) {
                type = Nbd.NBD_CMD_READ;
            }
            int commandFlags = 0;
            for (int bit = 0; bit < 5; bit++) {
                commandFlags |= random.nextInt(6) == 0 ? 1 << bit : 0;
            }
            commandFlags |= random.nextInt(40) == 0 ? 1 << 6 + random.nextInt(10) : 0;
            if (extended() && type == Nbd.NBD_CMD_WRITE) {
                commandFlags |= Nbd.NBD_CMD_FLAG_PAYLOAD_LEN;
            }
            long offset = offset();
            long length = length(type);
            if (type == Nbd.NBD_CMD_FLUSH && random.nextInt(4) != 0) {
                offset = 0;
                length = 0;
            } else if (random.nextInt(8) != 0 && offset >= 0 && offset < SIZE) {
                length = Math.min(length, SIZE - offset);
            }
            byte[] payload = new byte[type == Nbd.NBD_CMD_WRITE ? (int) length : 0];
            random.nextBytes(payload);
            int error = expected(type, commandFlags, offset, length);
            return new Step(type, commandFlags, offset, length, payload, error);
        }

        private long offset() {
            return switch (random.nextInt(20)) {
                case 0 -> SIZE;
                case 1 -> SIZE - 1 - random.nextInt(5000);
                case 2 -> SIZE + random.nextInt(5000);
                case 3 -> random.nextLong();
                case 4 -> Long.MAX_VALUE - random.nextInt(3);
                case 5 -> 0;
                case 6, 7, 8 -> random.nextInt(SIZE / 4096) * 4096L;
                case 9, 10 -> random.nextInt(SIZE / 512) * 512L;
                default -> random.nextInt(SIZE);
            };
        }

        private long length(int type) {
            boolean payload = type == Nbd.NBD_CMD_WRITE;
            return switch (random.nextInt(16)) {
                case 0 -> 0;
                case 1 -> payload ? 70_000 : 0xffff_ffffL;
                case 2 -> payload ? 1 : extended() ? Long.MAX_VALUE - random.nextInt(2) : 64 << 20;
                case 3 -> payload ? 1 : extended() ? random.nextLong() : (64 << 20) + 1;
                case 4, 5 -> 4096L * (1 + random.nextInt(8));
                case 6, 7 -> 512L * (1 + random.nextInt(64));
                case 8 -> 1 + random.nextInt(SIZE);
                default -> 1 + random.nextInt(10_000);
            };
        }

        // ---- the rules, once more --------------------------------------------------------------------------------

        private boolean offered(int flag) {
            return (flags & flag) != 0;
        }

        /** What proto.md asks for, written down without a look at the server. */
        private int expected(int type, int commandFlags, long offset, long length) {
            int known = offered(Nbd.NBD_FLAG_SEND_FUA) ? 1 : 0;
            boolean status = structured();
            boolean allowed = switch (type) {
                case Nbd.NBD_CMD_READ -> {
                    known |= offered(Nbd.NBD_FLAG_SEND_DF) ? Nbd.NBD_CMD_FLAG_DF : 0;
                    yield true;
                }
                case Nbd.NBD_CMD_WRITE -> {
                    known |= extended() ? Nbd.NBD_CMD_FLAG_PAYLOAD_LEN : 0;
                    yield true;
                }
                case Nbd.NBD_CMD_FLUSH -> offered(Nbd.NBD_FLAG_SEND_FLUSH);
                case Nbd.NBD_CMD_TRIM -> offered(Nbd.NBD_FLAG_SEND_TRIM);
                case Nbd.NBD_CMD_CACHE -> offered(Nbd.NBD_FLAG_SEND_CACHE);
                case Nbd.NBD_CMD_WRITE_ZEROES -> {
                    known |= Nbd.NBD_CMD_FLAG_NO_HOLE;
                    known |= offered(Nbd.NBD_FLAG_SEND_FAST_ZERO) ? Nbd.NBD_CMD_FLAG_FAST_ZERO : 0;
                    yield offered(Nbd.NBD_FLAG_SEND_WRITE_ZEROES);
                }
                case Nbd.NBD_CMD_BLOCK_STATUS -> {
                    known |= Nbd.NBD_CMD_FLAG_REQ_ONE;
                    yield status;
                }
                default -> false;
            };
            if (!allowed || (commandFlags & ~known) != 0) {
                return Nbd.NBD_EINVAL;
            }
            if (type == Nbd.NBD_CMD_FLUSH) {
                return offset == 0 && length == 0 ? 0 : Nbd.NBD_EINVAL;
            }
            if (type == Nbd.NBD_CMD_BLOCK_STATUS && length == 0) {
                return Nbd.NBD_EINVAL;
            }
            java.math.BigInteger end = unsigned(offset).add(unsigned(length));
            if (end.compareTo(java.math.BigInteger.valueOf(SIZE)) > 0) {
                boolean writing = type == Nbd.NBD_CMD_WRITE || type == Nbd.NBD_CMD_WRITE_ZEROES;
                return writing ? Nbd.NBD_ENOSPC : Nbd.NBD_EINVAL;
            }
            return 0;
        }

        private static java.math.BigInteger unsigned(long value) {
            return new java.math.BigInteger(Long.toUnsignedString(value));
        }

        // ---- doing and comparing ---------------------------------------------------------------------------------

        private void perform(List<Step> steps) throws IOException {
            RawClient[] asked = new RawClient[steps.size()];
            long[] cookieOf = new long[steps.size()];
            for (int i = 0; i < steps.size(); i++) {
                Step step = steps.get(i);
                asked[i] = clients[random.nextInt(CLIENTS)];
                cookieOf[i] = ++cookies;
                asked[i].request(step.type(), step.flags(), cookieOf[i], step.offset(), step.length(), step.payload());
            }
            for (RawClient client : clients) {
                long open = Arrays.stream(asked).filter(one -> one == client).count();
                for (; open > 0; open--) {
                    RawClient.Reply reply = client.reply();
                    for (int i = 0; i < steps.size(); i++) {
                        if (cookieOf[i] == reply.cookie()) {
                            judge(steps, steps.get(i), reply);
                        }
                    }
                }
            }
        }

        private void judge(List<Step> batch, Step step, RawClient.Reply reply) {
            int expected = step.error();
            boolean fast = step.type() == Nbd.NBD_CMD_WRITE_ZEROES
                    && (step.flags() & Nbd.NBD_CMD_FLAG_FAST_ZERO) != 0
                    && expected == 0;
            if (fast && reply.error() == Nbd.NBD_ENOTSUP) {
                return; // which it may say, and then nothing has changed
            }
            assertThat(reply.error()).as("%s: %s in %s", name, step, batch).isEqualTo(expected);
            if (expected != 0) {
                return;
            }
            int at = (int) step.offset();
            int length = (int) step.length();
            switch (step.type()) {
                case Nbd.NBD_CMD_READ -> compare(step, RawClient.dataOf(reply, at, length));
                case Nbd.NBD_CMD_WRITE -> {
                    System.arraycopy(step.payload(), 0, model, at, length);
                    Arrays.fill(unknown, at, at + length, false);
                }
                case Nbd.NBD_CMD_WRITE_ZEROES -> {
                    Arrays.fill(model, at, at + length, (byte) 0);
                    Arrays.fill(unknown, at, at + length, false);
                }
                case Nbd.NBD_CMD_TRIM -> Arrays.fill(unknown, at, at + length, true);
                case Nbd.NBD_CMD_BLOCK_STATUS -> extents(step, reply);
                default -> {} // flush and cache change nothing
            }
        }

        private void compare(Step step, byte[] data) {
            int at = (int) step.offset();
            for (int i = 0; i < data.length; i++) {
                if (!unknown[at + i] && data[i] != model[at + i]) {
                    throw new AssertionError(name + ": " + step + ": byte " + (at + i) + " is " + data[i]
                            + " instead of " + model[at + i]);
                }
            }
        }

        private void extents(Step step, RawClient.Reply reply) {
            assertThat(reply.chunks()).as("%s: %s", name, step).hasSize(1);
            ByteBuffer data = ByteBuffer.wrap(reply.chunks().getFirst().data());
            data.getInt();
            if (extended()) {
                assertThat(data.getInt()).isEqualTo(data.remaining() / 16);
            }
            long told = 0;
            int count = 0;
            while (data.hasRemaining()) {
                long length = extended() ? data.getLong() : Integer.toUnsignedLong(data.getInt());
                long state = extended() ? data.getLong() : data.getInt();
                assertThat(length).as("%s: %s", name, step).isPositive();
                if ((state & Nbd.NBD_STATE_ZERO) != 0) {
                    allZero(step, step.offset() + told, Math.min(length, step.length() - told));
                }
                told += length;
                count++;
            }
            assertThat(told).as("%s: %s", name, step).isPositive().isLessThanOrEqualTo(step.length());
            if ((step.flags() & Nbd.NBD_CMD_FLAG_REQ_ONE) != 0) {
                assertThat(count).isEqualTo(1);
            }
        }

        private void allZero(Step step, long from, long length) {
            for (int i = (int) from; i < from + length; i++) {
                if (!unknown[i] && model[i] != 0) {
                    throw new AssertionError(name + ": " + step + ": byte " + i + " is said to be zero");
                }
            }
        }
    }
}

package farsight.server;

import static farsight.tools.WireClient.*;
import static org.assertj.core.api.Assertions.assertThat;

import farsight.config.ExportRates;
import farsight.config.Limits;
import farsight.tools.WireClient;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Metadata contexts: which there are, how they are selected, and what block status says of them. */
class MetadataTest {
    private static final String ALLOCATION = "base:allocation";
    private static final String DIRTY = "farsight:dirty";
    private static final int SIZE = 16 << 20;
    private static final int EINVAL = 22;

    @TempDir
    Path directory;

    private TestServer serve() throws IOException {
        return new TestServer.Builder(directory)
                .memory("memory", SIZE)
                .file("file", directory.resolve("disk.img"), SIZE)
                .limits(Limits.DEFAULT.withMaxErrors(100))
                .start();
    }

    private static List<String> names(List<OptionReply> replies) {
        assertThat(replies.getLast().type()).isEqualTo(ACK);
        return replies.subList(0, replies.size() - 1).stream()
                .map(reply -> new String(reply.data(), 4, reply.data().length - 4))
                .toList();
    }

    private static List<String> listed(WireClient client, String... queries) throws IOException {
        return names(client.option(LIST_META_CONTEXT, queries("memory", queries)));
    }

    private static List<String> set(WireClient client, String... queries) throws IOException {
        return names(client.option(SET_META_CONTEXT, queries("memory", queries)));
    }

    @Test
    void listingTakesNamesNamespacesAndNothingForAll() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured()) {
                assertThat(listed(client)).containsExactly(ALLOCATION, DIRTY);
                assertThat(listed(client, "base:")).containsExactly(ALLOCATION);
                assertThat(listed(client, "farsight:")).containsExactly(DIRTY);
                assertThat(listed(client, "farsight:", "base:", ALLOCATION)).containsExactly(ALLOCATION, DIRTY);
                assertThat(listed(client, ALLOCATION)).containsExactly(ALLOCATION);
                assertThat(listed(client, "base:other", "farsight:depth", "qemu:", "x-a:b"))
                        .isEmpty();
            }
        }
    }

    @Test
    void settingTakesNamesOnly() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured()) {
                assertThat(set(client)).isEmpty();
                assertThat(set(client, "base:", "farsight:", "unknown:context")).isEmpty();
                assertThat(set(client, DIRTY, DIRTY)).containsExactly(DIRTY);
                assertThat(set(client, DIRTY, "base:", ALLOCATION)).containsExactly(ALLOCATION, DIRTY);
            }
        }
    }

    @Test
    void whatIsWrongWithAQuestionIsSaid() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()) {
                for (int option : new int[] {LIST_META_CONTEXT, SET_META_CONTEXT}) {
                    assertThat(client.answer(option, queries("memory", ALLOCATION)))
                            .isEqualTo(INVALID);
                }
                client.structured();
                for (int option : new int[] {LIST_META_CONTEXT, SET_META_CONTEXT}) {
                    assertThat(client.answer(option, queries("nothing", ALLOCATION)))
                            .isEqualTo(UNKNOWN);
                    assertThat(client.answer(option, queries("memory", "no namespace")))
                            .isEqualTo(INVALID);
                    assertThat(client.answer(option, queries("memory", ":leaf")))
                            .isEqualTo(INVALID);
                    assertThat(client.answer(option, new byte[3])).isEqualTo(INVALID);
                    assertThat(client.answer(option, bytes(out -> out.writeInt(1 << 30))))
                            .isEqualTo(INVALID);
                    byte[] lie = queries("memory", ALLOCATION);
                    lie[13]++; // the number of queries
                    assertThat(client.answer(option, lie)).isEqualTo(INVALID);
                    String[] many = new String[65];
                    java.util.Arrays.fill(many, "a:b");
                    assertThat(client.answer(option, queries("memory", many))).isEqualTo(TOO_BIG);
                }
                client.go("memory");
                assertThat(client.errorOf(0, BLOCK_STATUS, 0, 512)).isEqualTo(EINVAL);
            }
        }
    }

    @Test
    void contextsAreThoseOfTheLastSettingForTheExportThatIsEntered() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client =
                    server.wire().structured().contexts("file", ALLOCATION).go("memory")) {
                assertThat(client.errorOf(0, BLOCK_STATUS, 0, 512)).isEqualTo(EINVAL);
            }
            try (WireClient client = server.wire().structured().contexts("memory", ALLOCATION)) {
                // One that fails leaves nothing.
                assertThat(client.answer(SET_META_CONTEXT, new byte[1])).isEqualTo(INVALID);
                client.go("memory");
                assertThat(client.errorOf(0, BLOCK_STATUS, 0, 512)).isEqualTo(EINVAL);
            }
            try (WireClient client = server.wire()
                    .structured()
                    .contexts("memory", ALLOCATION)
                    .contexts("memory", DIRTY)
                    .go("memory")) {
                assertThat(client.request(0, BLOCK_STATUS, 0, 512))
                        .singleElement()
                        .satisfies(chunk -> assertThat(chunk.context()).isEqualTo(2));
            }
            try (WireClient client = server.wire().structured().contexts("memory", ALLOCATION)) {
                // Questions in between change nothing.
                client.option(LIST_META_CONTEXT, queries("file", DIRTY));
                client.option(INFO, export("file"));
                client.option(GO, export("nothing"));
                client.go("memory");
                assertThat(client.errorOf(0, BLOCK_STATUS, 0, 512)).isZero();
            }
        }
    }

    @Test
    void changesAreDirtySinceTheServerStartedWhoeverMadeThem() throws IOException {
        try (TestServer server = serve()) {
            for (String export : new String[] {"memory", "file"}) {
                try (WireClient client =
                        server.wire().structured().contexts(export, DIRTY).go(export)) {
                    assertThat(client.request(0, BLOCK_STATUS, 0, SIZE)
                                    .getFirst()
                                    .extents())
                            .containsExactly((long) SIZE, 0L);
                    client.errorOf(0, WRITE, (1 << 20) + 5, 7, new byte[7]);
                    client.errorOf(0, WRITE_ZEROES, 2 << 20, 65537);
                    client.errorOf(0, TRIM, 4 << 20, 1 << 20);
                }
                server.awaitNothingInUse(); // so that the file is closed in between
                try (WireClient client =
                        server.wire().extended().contexts(export, DIRTY).go(export)) {
                    assertThat(client.request(0, BLOCK_STATUS, 0, SIZE)
                                    .getFirst()
                                    .extents())
                            .containsExactly(
                                    1L << 20,
                                    0L,
                                    1L << 16,
                                    1L,
                                    (1L << 20) - (1 << 16),
                                    0L,
                                    2L << 16,
                                    1L,
                                    (2L << 20) - (2 << 16),
                                    0L,
                                    1L << 20,
                                    1L,
                                    11L << 20,
                                    0L);
                }
            }
        }
    }

    @Test
    void bothContextsAreAnsweredEachInItsChunk() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()
                    .extended()
                    .contexts("memory", ALLOCATION, DIRTY)
                    .go("memory")) {
                client.errorOf(PAYLOAD_LEN, WRITE, 1 << 20, 1 << 16, new byte[1 << 16]);
                client.errorOf(0, TRIM, 1 << 20, 1 << 16);
                List<Chunk> chunks = client.request(0, BLOCK_STATUS, 0, 4 << 20);
                assertThat(chunks.stream().map(Chunk::context)).containsExactly(1, 2);
                assertThat(chunks.stream().map(Chunk::done)).containsExactly(false, true);
                assertThat(chunks.get(0).extents()).containsExactly(4L << 20, 3L);
                assertThat(chunks.get(1).extents())
                        .containsExactly(1L << 20, 0L, 1L << 16, 1L, (3L << 20) - (1 << 16), 0L);
                chunks = client.request(REQ_ONE, BLOCK_STATUS, 0, 4 << 20);
                assertThat(chunks.get(0).extents()).containsExactly(4L << 20, 3L);
                assertThat(chunks.get(1).extents()).containsExactly(1L << 20, 0L);
            }
        }
    }

    private static byte[] filter(long length, int... contexts) {
        return bytes(out -> {
            out.writeLong(length);
            for (int context : contexts) {
                out.writeInt(context);
            }
        });
    }

    @Test
    void aPayloadChoosesAmongTheContexts() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()
                    .extended()
                    .contexts("memory", ALLOCATION, DIRTY)
                    .go("memory")) {
                assertThat(client.flags() & 1 << 12).isNotZero();
                for (int context : new int[] {1, 2}) {
                    byte[] payload = filter(1 << 20, context);
                    assertThat(client.request(PAYLOAD_LEN, BLOCK_STATUS, 0, payload.length, payload))
                            .singleElement()
                            .satisfies(chunk -> {
                                assertThat(chunk.context()).isEqualTo(context);
                                assertThat(chunk.extents().getFirst()).isEqualTo(1 << 20);
                            });
                }
                byte[] both = filter(SIZE, 2, 1);
                assertThat(client.request(PAYLOAD_LEN | REQ_ONE, BLOCK_STATUS, 0, both.length, both))
                        .hasSize(2);
            }
        }
    }

    @Test
    void aWrongPayloadIsPassedOverAndEinval() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire()
                    .extended()
                    .contexts("memory", ALLOCATION, DIRTY)
                    .go("memory")) {
                for (byte[] payload : List.of(
                        filter(512, 1, 1),
                        filter(512, 3),
                        filter(512, 0),
                        filter(512, 4),
                        filter(512, 1, 4),
                        filter(512, 1, 2, 1),
                        filter(512),
                        new byte[5],
                        new byte[13],
                        new byte[100_000],
                        filter(0, 1),
                        filter(SIZE + 1, 1),
                        filter(-1, 1))) {
                    assertThat(client.errorOf(PAYLOAD_LEN, BLOCK_STATUS, 0, payload.length, payload))
                            .isEqualTo(EINVAL);
                }
                // Where nobody takes a payload it is passed over as well.
                for (int type : new int[] {READ, TRIM, CACHE, WRITE_ZEROES, FLUSH, 99}) {
                    assertThat(client.errorOf(PAYLOAD_LEN, type, 0, 10, new byte[10]))
                            .isEqualTo(EINVAL);
                }
                assertThat(client.errorOf(0, BLOCK_STATUS, 0, 512)).isZero();
            }
            try (WireClient client = server.wire().extended().contexts("memory").go("memory")) {
                assertThat(client.flags() & 1 << 12).isZero();
                byte[] payload = filter(512, 1);
                assertThat(client.errorOf(PAYLOAD_LEN, BLOCK_STATUS, 0, payload.length, payload))
                        .isEqualTo(EINVAL);
                assertThat(client.errorOf(0, READ, 0, 512)).isZero();
            }
        }
    }

    /** A tenth of a second's worth is free, so that twice as many would take 3.9 seconds. */
    @Test
    void aQuestionWithAPayloadIsOneRequest() throws IOException {
        try (TestServer server = new TestServer.Builder(directory)
                        .memory("memory", SIZE, new ExportRates(0, 50))
                        .start();
                WireClient client =
                        server.wire().extended().contexts("memory", ALLOCATION).go("memory")) {
            byte[] payload = filter(512, 1);
            long start = System.nanoTime();
            for (int i = 0; i < 100; i++) {
                assertThat(client.request(PAYLOAD_LEN, BLOCK_STATUS, 0, payload.length, payload))
                        .hasSize(1);
            }
            assertThat(Duration.ofNanos(System.nanoTime() - start))
                    .isBetween(Duration.ofMillis(1700), Duration.ofMillis(3800));
        }
    }

    @Test
    void aPayloadMayComeByteByByte() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client =
                    server.wire().extended().contexts("memory", ALLOCATION).go("memory")) {
                byte[] payload = filter(1 << 20, 1);
                client.send(PAYLOAD_LEN, BLOCK_STATUS, 1, 0, payload.length);
                for (byte one : payload) {
                    client.send(java.nio.ByteBuffer.wrap(new byte[] {one}));
                }
                assertThat(client.chunk().extents()).containsExactly(1L << 20, 3L);
            }
            try (WireClient client =
                    server.wire().extended().contexts("memory", ALLOCATION).go("memory")) {
                client.send(PAYLOAD_LEN, BLOCK_STATUS, 1, 0, 12, (byte) 0); // and leaves
            }
            server.awaitNothingInUse();
        }
    }
}

package farsight.server;

import static farsight.tools.WireClient.*;
import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.config.Limits;
import farsight.tools.WireClient;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Reads whose replies come in chunks: data and holes, one piece when that is asked for, errors in the middle. */
class ChunkedReadsTest {
    private static final int SIZE = 8 << 20;
    private static final int GRANULE = 64 << 10;

    @TempDir
    Path directory;

    private TestServer serve() throws IOException {
        return new TestServer.Builder(directory)
                .memory("memory", SIZE)
                .file("file", directory.resolve("disk.img"), SIZE)
                .start();
    }

    private static byte[] random(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    /** The content that chunks stand for; every byte must be told exactly once. */
    private static byte[] content(List<Chunk> chunks, long offset, int length) {
        byte[] content = new byte[length];
        boolean[] told = new boolean[length];
        for (Chunk chunk : chunks) {
            if (chunk.type() == NONE) {
                continue;
            }
            assertThat(chunk.type()).isIn(OFFSET_DATA, OFFSET_HOLE);
            for (int i = 0; i < chunk.length(); i++) {
                int at = (int) (chunk.offset() - offset) + i;
                assertThat(told[at]).isFalse();
                told[at] = true;
                content[at] = chunk.type() == OFFSET_DATA ? chunk.payload()[8 + i] : 0;
            }
        }
        for (boolean one : told) {
            assertThat(one).isTrue();
        }
        return content;
    }

    private static List<Integer> types(List<Chunk> chunks) {
        return chunks.stream().map(Chunk::type).toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "file"})
    void holesAreNotSent(String export) throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured().go(export)) {
                byte[] data = random(GRANULE);
                assertThat(client.errorOf(0, WRITE, 10 * GRANULE, GRANULE, data))
                        .isZero();
                List<Chunk> chunks = client.request(0, READ, 0, 20 * GRANULE);
                assertThat(types(chunks)).containsExactly(OFFSET_HOLE, OFFSET_DATA, OFFSET_HOLE);
                assertThat(chunks.stream().map(Chunk::length))
                        .containsExactly(10L * GRANULE, (long) GRANULE, 9L * GRANULE);
                byte[] content = content(chunks, 0, 20 * GRANULE);
                assertThat(java.util.Arrays.copyOfRange(content, 10 * GRANULE, 11 * GRANULE))
                        .isEqualTo(data);
                // From within a hole into the data.
                chunks = client.request(0, READ, 9 * GRANULE + 1000, GRANULE);
                assertThat(types(chunks)).containsExactly(OFFSET_HOLE, OFFSET_DATA);
                assertThat(content(chunks, 9 * GRANULE + 1000, GRANULE)[GRANULE - 1000])
                        .isEqualTo(data[0]);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "file"})
    void trimmedAndZeroedRangesAreHolesAgain(String export) throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().extended().go(export)) {
                client.errorOf(PAYLOAD_LEN, WRITE, 0, 4 * GRANULE, random(4 * GRANULE));
                assertThat(client.errorOf(0, TRIM, GRANULE, GRANULE)).isZero();
                assertThat(client.errorOf(0, WRITE_ZEROES, 3 * GRANULE, GRANULE))
                        .isZero();
                assertThat(types(client.request(0, READ, 0, 4 * GRANULE)))
                        .containsExactly(OFFSET_DATA, OFFSET_HOLE, OFFSET_DATA, OFFSET_HOLE);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "file"})
    void dontFragmentGetsOneChunkWithItsZeroes(String export) throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured().go(export)) {
                byte[] data = random(4096);
                client.errorOf(0, WRITE, 5 * GRANULE, 4096, data);
                // More than the largest buffer, so that the one chunk leaves in pieces.
                int length = 3 << 20;
                List<Chunk> chunks = client.request(DF, READ, 0, length);
                assertThat(chunks).filteredOn(chunk -> chunk.type() != NONE).singleElement();
                byte[] content = content(chunks, 0, length);
                assertThat(java.util.Arrays.copyOfRange(content, 5 * GRANULE, 5 * GRANULE + 4096))
                        .isEqualTo(data);
                assertThat(types(client.request(DF, READ, 0, GRANULE))).containsExactly(OFFSET_DATA);
            }
        }
    }

    @Test
    void largeReadsComeInManyChunksAndWhole() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured().go("file")) {
                byte[] data = random(5_000_001);
                client.errorOf(0, WRITE, 77, data.length, data);
                List<Chunk> chunks = client.request(0, READ, 77, data.length);
                assertThat(chunks.size()).isGreaterThan(3);
                assertThat(content(chunks, 77, data.length)).isEqualTo(data);
            }
        }
    }

    @Test
    void successWithoutContentIsASimpleReplyOrAnExtendedChunk() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured().go("memory")) {
                assertThat(client.request(0, FLUSH, 0, 0).getFirst().simple()).isTrue();
                assertThat(types(client.request(0, READ, 5, 0))).containsExactly(NONE);
                assertThat(client.request(0, READ, 5, 0).getFirst().simple()).isFalse();
            }
            try (WireClient client = server.wire().extended().go("memory")) {
                for (int type : new int[] {FLUSH, TRIM, CACHE, WRITE_ZEROES, READ}) {
                    Chunk chunk = client.request(0, type, 0, 0).getFirst();
                    assertThat(chunk.simple()).isFalse();
                    assertThat(chunk.type()).isEqualTo(NONE);
                }
            }
        }
    }

    /** Cannot read the third MiB, and says that the second one is a hole. */
    private static final class Broken implements AsyncBlockDevice {
        @Override
        public long size() {
            return SIZE;
        }

        @Override
        public Set<Feature> features() {
            return Set.of(Feature.EXTENTS, Feature.QUICK_EXTENTS);
        }

        @Override
        public void submit(Request request) {
            switch (request.command()) {
                case READ -> {
                    MemorySegment buffer = request.buffer();
                    buffer.fill((byte) 5);
                    if (request.offset() < 3 << 20 && request.offset() + request.length() > 2 << 20) {
                        request.fail(Errno.EIO);
                        return;
                    }
                }
                case EXTENTS -> {
                    long first = Math.max(0, (1 << 20) - request.offset());
                    if (first == 0 || request.extents().extent(first, false, false)) {
                        if (request.extents().extent(1 << 20, true, true)) {
                            request.extents().extent(SIZE, false, false);
                        }
                    }
                }
                default -> {
                    request.fail(Errno.ENOSPC);
                    return;
                }
            }
            request.complete();
        }
    }

    private TestServer broken() throws IOException {
        return new TestServer.Builder(directory).device("broken", new Broken()).start();
    }

    @Test
    void anErrorInTheMiddleFollowsTheChunksThatWereGoodAndSaysWhere() throws IOException {
        try (TestServer server = broken()) {
            try (WireClient client = server.wire().structured().go("broken")) {
                List<Chunk> chunks = client.request(0, READ, 0, 4 << 20);
                assertThat(types(chunks)).containsExactly(OFFSET_DATA, OFFSET_HOLE, ERROR_OFFSET);
                assertThat(chunks.getLast().error()).isEqualTo(Errno.EIO);
                assertThat(chunks.getLast().failedAt()).isEqualTo(2 << 20);
                assertThat(chunks.getLast().text()).contains("NBD_CMD_READ").contains("Input/output error");
                assertThat(client.errorOf(0, READ, 0, 4096)).isZero();
            }
        }
    }

    @Test
    void anErrorInAnUnfragmentedReadPadsItsChunkAndFollowsIt() throws IOException {
        try (TestServer server = broken()) {
            try (WireClient client = server.wire().structured().go("broken")) {
                List<Chunk> chunks = client.request(DF, READ, 0, 7 << 20);
                assertThat(types(chunks)).containsExactly(OFFSET_DATA, ERROR_OFFSET);
                assertThat(chunks.getFirst().length()).isEqualTo(7 << 20);
                assertThat(chunks.getFirst().payload()[8 + (1 << 20)]).isEqualTo((byte) 5);
                assertThat(chunks.getFirst().payload()[8 + (3 << 20)]).isZero();
                assertThat(chunks.getLast().failedAt()).isEqualTo(2 << 20);
                assertThat(client.errorOf(0, READ, 0, 4096)).isZero();
            }
        }
    }

    @Test
    void refusalsSayWhy() throws IOException {
        try (TestServer server = broken()) {
            try (WireClient client = server.wire().structured().go("broken")) {
                Chunk error = client.request(0, READ, SIZE - 1, 2).getFirst();
                assertThat(error.type()).isEqualTo(ERROR);
                assertThat(error.text())
                        .isEqualTo("2 bytes at 8388607 reach past the end of the export, which has 8388608");
                assertThat(client.request(FUA, TRIM, 0, 1).getFirst().text())
                        .isEqualTo("NBD_CMD_TRIM is not known here, or was not offered");
                Chunk full = client.request(0, WRITE, 4096, 3, new byte[3]).getFirst();
                assertThat(full.type()).isEqualTo(ERROR_OFFSET);
                assertThat(full.error()).isEqualTo(Errno.ENOSPC);
                assertThat(full.failedAt()).isEqualTo(4096);
            }
        }
    }

    @Test
    void manyBigReadsAtOnceGetAllTheirChunksFromAPoolThatIsTooSmall() throws IOException {
        Limits small = new Limits(16, 64, 256L << 20, 10, 64, Duration.ofSeconds(30), 2 << 20);
        try (TestServer server = new TestServer.Builder(directory)
                .file("file", directory.resolve("disk.img"), SIZE)
                .limits(small)
                .start()) {
            try (WireClient client = server.wire().structured().go("file")) {
                byte[] data = random(SIZE);
                client.errorOf(0, WRITE, 0, SIZE, data);
                for (int i = 0; i < 16; i++) {
                    client.send(i % 4 == 0 ? DF : 0, READ, i, 0, SIZE);
                }
                java.util.Map<Long, List<Chunk>> replies = new java.util.HashMap<>();
                for (int done = 0; done < 16; ) {
                    Chunk chunk = client.chunk();
                    assertThat(chunk.error()).isZero();
                    replies.computeIfAbsent(chunk.cookie(), cookie -> new java.util.ArrayList<>())
                            .add(chunk);
                    done += chunk.done() ? 1 : 0;
                }
                assertThat(replies).hasSize(16);
                assertThat(content(replies.get(0L), 0, SIZE)).isEqualTo(data);
                assertThat(content(replies.get(7L), 0, SIZE)).isEqualTo(data);
            }
        }
    }

    @Test
    void aClientThatLeavesAmidChunksLeavesNothingBehind() throws IOException {
        try (TestServer server = serve()) {
            try (WireClient client = server.wire().structured().go("file")) {
                client.errorOf(0, WRITE, 0, SIZE, random(SIZE));
                for (int i = 0; i < 8; i++) {
                    client.send(i % 2 == 0 ? DF : 0, READ, i, 0, SIZE);
                }
                client.chunk();
            }
            server.awaitNothingInUse();
        }
    }
}

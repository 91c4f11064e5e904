package farsight.server;

import static farsight.tools.WireClient.*;
import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.Request.Command;
import farsight.server.EndlessDevice.Asked;
import farsight.tools.WireClient;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Offsets, lengths, extents and sizes around 2^32 and 2^63, where numbers of others have turned over. */
class BoundariesTest {
    private static final long TWO_32 = 1L << 32;
    private static final long MAX = Long.MAX_VALUE;
    private static final int EINVAL = 22;
    private static final int ENOSPC = 28;
    private static final int EOVERFLOW = 75;

    @TempDir
    Path directory;

    private interface Session {
        void with(WireClient client, EndlessDevice device) throws IOException;
    }

    private void extended(long size, Session session) throws IOException {
        EndlessDevice device = new EndlessDevice(size);
        try (TestServer server = new TestServer.Builder(directory)
                .device("endless", device)
                .limits(farsight.config.Limits.DEFAULT.withMaxErrors(100))
                .start()) {
            try (WireClient client = server.wire()
                    .extended()
                    .contexts("endless", "base:allocation")
                    .go("endless")) {
                session.with(client, device);
            }
        }
    }

    @Test
    void aSizeOf2To63Minus1IsToldAndServedToItsLastByte() throws IOException {
        extended(MAX, (client, device) -> {
            assertThat(client.size()).isEqualTo(MAX);
            List<Chunk> last = client.request(0, READ, MAX - 1, 1);
            assertThat(last).singleElement().satisfies(chunk -> {
                assertThat(chunk.offset()).isEqualTo(MAX - 1);
                assertThat(chunk.payload()[8]).isEqualTo((byte) 7);
            });
            assertThat(client.errorOf(0, READ, MAX, 1)).isEqualTo(EINVAL);
            assertThat(client.errorOf(0, READ, MAX - 1, 2)).isEqualTo(EINVAL);
            assertThat(client.errorOf(0, READ, MAX, 0)).isZero();
            assertThat(client.errorOf(PAYLOAD_LEN, WRITE, MAX - 1, 2, new byte[2]))
                    .isEqualTo(ENOSPC);
        });
    }

    @Test
    void offsetsFrom2To63OnAreRefused() throws IOException {
        extended(MAX, (client, device) -> {
            for (long offset : new long[] {Long.MIN_VALUE, Long.MIN_VALUE + 1, -512, -1}) {
                assertThat(client.errorOf(0, READ, offset, 512)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, TRIM, offset, 512)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, CACHE, offset, 512)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, BLOCK_STATUS, offset, 512)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, WRITE_ZEROES, offset, 512)).isEqualTo(ENOSPC);
                assertThat(client.errorOf(PAYLOAD_LEN, WRITE, offset, 8, new byte[8]))
                        .isEqualTo(ENOSPC);
            }
            assertThat(device.asked).isEmpty();
        });
    }

    @Test
    void lengthsFrom2To63OnAreRefused() throws IOException {
        extended(MAX, (client, device) -> {
            for (long length : new long[] {Long.MIN_VALUE, Long.MIN_VALUE + 1, -512, -1}) {
                assertThat(client.errorOf(0, READ, 0, length)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, TRIM, 0, length)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, CACHE, 1, length)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, BLOCK_STATUS, 0, length)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, WRITE_ZEROES, 0, length)).isEqualTo(ENOSPC);
            }
            assertThat(device.asked).isEmpty();
        });
    }

    @Test
    void offsetAndLengthWhoseSumTurnsOverAreRefused() throws IOException {
        extended(MAX, (client, device) -> {
            assertThat(client.errorOf(0, TRIM, MAX, MAX)).isEqualTo(EINVAL);
            assertThat(client.errorOf(0, TRIM, 2, MAX)).isEqualTo(EINVAL);
            assertThat(client.errorOf(0, WRITE_ZEROES, MAX - 1, MAX)).isEqualTo(ENOSPC);
            assertThat(client.errorOf(0, BLOCK_STATUS, 1, MAX)).isEqualTo(EINVAL);
            assertThat(device.asked).isEmpty();
        });
    }

    @Test
    void zeroesTrimAndCacheOf2To32AndOf2To63Minus1ReachTheDeviceWhole() throws IOException {
        extended(MAX, (client, device) -> {
            for (long length : new long[] {TWO_32 - 1, TWO_32, TWO_32 + 1, MAX}) {
                assertThat(client.errorOf(0, TRIM, 0, length)).isZero();
                assertThat(client.errorOf(0, WRITE_ZEROES, 0, length)).isZero();
                assertThat(client.errorOf(0, CACHE, 0, length)).isZero();
                assertThat(device.asked)
                        .containsExactly(
                                new Asked(Command.TRIM, 0, length),
                                new Asked(Command.WRITE_ZEROES, 0, length),
                                new Asked(Command.CACHE, 0, length));
                device.asked.clear();
            }
        });
    }

    @Test
    void extentsOf2To32AndMoreAreToldInOne() throws IOException {
        extended(MAX, (client, device) -> {
            for (long length : new long[] {3, TWO_32 - 1, TWO_32, 3 * TWO_32, MAX}) {
                Chunk status = client.request(0, BLOCK_STATUS, 0, length).getFirst();
                assertThat(status.type()).isEqualTo(STATUS_EXT);
                assertThat(status.extents()).containsExactly(length / 3, 3L, length - length / 3, 0L);
            }
        });
    }

    @Test
    void compactStatusOf2To32Minus1IsToldInOne() throws IOException {
        EndlessDevice device = new EndlessDevice(MAX);
        try (TestServer server =
                new TestServer.Builder(directory).device("endless", device).start()) {
            try (WireClient client = server.wire()
                    .structured()
                    .contexts("endless", "base:allocation")
                    .go("endless")) {
                long length = TWO_32 - 1;
                Chunk status =
                        client.request(0, BLOCK_STATUS, MAX - length, length).getFirst();
                assertThat(status.type()).isEqualTo(STATUS);
                assertThat(status.extents()).containsExactly(length / 3, 3L, length - length / 3, 0L);
            }
        }
    }

    @Test
    void readsBeyond64MiBAreEoverflowWithChunksAndEinvalWithout() throws IOException {
        extended(MAX, (client, device) -> {
            assertThat(client.errorOf(0, READ, 0, (64 << 20) + 1)).isEqualTo(EOVERFLOW);
            assertThat(client.errorOf(DF, READ, 0, TWO_32)).isEqualTo(EOVERFLOW);
            assertThat(client.errorOf(0, READ, 0, MAX)).isEqualTo(EOVERFLOW);
            assertThat(device.asked).isEmpty();
        });
        EndlessDevice device = new EndlessDevice(MAX);
        try (TestServer server =
                new TestServer.Builder(directory).device("endless", device).start()) {
            try (WireClient client = server.wire().go("endless")) {
                assertThat(client.errorOf(0, READ, 0, (64 << 20) + 1)).isEqualTo(EINVAL);
                assertThat(client.errorOf(0, READ, 0, TWO_32 - 1)).isEqualTo(EINVAL);
            }
        }
        assertThat(device.asked).isEmpty();
    }

    @Test
    void extendedPayloadsBeyond64MiBEndTheConnection() throws IOException {
        for (long length : new long[] {(64 << 20) + 1, TWO_32, MAX, Long.MIN_VALUE, -1}) {
            extended(MAX, (client, device) -> {
                client.send(PAYLOAD_LEN, WRITE, 1, 0, length);
                Assertions.assertThatThrownBy(client::chunk).isInstanceOf(EOFException.class);
            });
        }
    }

    @Test
    void aFilesHolesBeyond2To32AreToldAndZeroed() throws IOException {
        long size = 5 * TWO_32;
        try (TestServer server = new TestServer.Builder(directory)
                .file("file", directory.resolve("large.img"), size)
                .start()) {
            try (WireClient client =
                    server.wire().extended().contexts("file", "base:allocation").go("file")) {
                long at = 3 * TWO_32;
                assertThat(client.errorOf(PAYLOAD_LEN, WRITE, at, 4096, new byte[4096]))
                        .isZero();
                assertThat(client.request(0, BLOCK_STATUS, 0, size).getFirst().extents())
                        .containsExactly(at, 3L, 4096L, 0L, size - at - 4096, 3L);
                assertThat(client.errorOf(0, WRITE_ZEROES, TWO_32 - 1, size - TWO_32))
                        .isZero();
                assertThat(client.request(0, BLOCK_STATUS, 0, size).getFirst().extents())
                        .containsExactly(size, 3L);
            }
        }
    }
}

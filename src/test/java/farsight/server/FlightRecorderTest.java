package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.BlockDevice;
import farsight.client.NbdClient;
import farsight.client.NbdException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What Java's flight recorder is told. */
class FlightRecorderTest {
    private static final Duration SLOWNESS = Duration.ofMillis(60);

    @TempDir
    Path directory;

    /** Takes its time for reads of a whole page, and fails those at {@link #BROKEN}. */
    private record SlowDisk(long size) implements BlockDevice {
        static final long BROKEN = 8192;

        @Override
        public void read(MemorySegment target, long offset) throws IOException {
            long end = System.nanoTime() + (target.byteSize() == 4096 ? SLOWNESS.toNanos() : 0);
            while (System.nanoTime() - end < 0) {
                LockSupport.parkNanos(end - System.nanoTime());
            }
            if (offset == BROKEN) {
                throw new IOException("broken on purpose");
            }
            target.fill((byte) 7);
        }

        @Override
        public void write(MemorySegment source, long offset) {}
    }

    @Test
    void connectionsAndSlowRequestsAreRecorded() throws Exception {
        Path file = directory.resolve("farsight.jfr");
        try (Recording recording = new Recording()) {
            recording.enable("farsight.Connection").withoutThreshold();
            recording.enable("farsight.SlowRequest").withoutThreshold();
            recording.start();
            serve();
            recording.stop();
            recording.dump(file);
        }
        List<RecordedEvent> events = RecordingFile.readAllEvents(file);
        assertThat(events)
                .filteredOn(event -> event.getEventType().getName().equals("farsight.Connection"))
                .singleElement()
                .satisfies(event -> {
                    assertThat(event.getString("export")).isEqualTo("slow");
                    assertThat(event.getString("client")).isEqualTo("unix");
                    assertThat(event.getBoolean("tls")).isFalse();
                    assertThat(event.getDuration()).isGreaterThan(SLOWNESS.multipliedBy(2));
                });
        List<RecordedEvent> slow = events.stream()
                .filter(event -> event.getEventType().getName().equals("farsight.SlowRequest"))
                .filter(event -> event.getLong("length") == 4096)
                .toList();
        assertThat(slow).hasSize(2).allSatisfy(event -> {
            assertThat(event.getString("export")).isEqualTo("slow");
            assertThat(event.getString("command")).isEqualTo("NBD_CMD_READ");
            assertThat(event.getDuration("total")).isGreaterThanOrEqualTo(SLOWNESS);
            // The clock is looked at once in a turn of the loop.
            assertThat(event.getDuration("storage")).isGreaterThan(SLOWNESS.dividedBy(2));
        });
        assertThat(slow.get(0).getLong("offset")).isEqualTo(4096);
        assertThat(slow.get(0).getInt("error")).isZero();
        assertThat(slow.get(1).getLong("offset")).isEqualTo(SlowDisk.BROKEN);
        assertThat(slow.get(1).getInt("error")).isEqualTo(5);
    }

    private void serve() throws Exception {
        try (TestServer server = new TestServer.Builder(directory)
                .device("slow", new SlowDisk(1 << 20))
                .start()) {
            try (NbdClient client = NbdClient.connect(server.uri("slow"));
                    Arena arena = Arena.ofConfined()) {
                MemorySegment page = arena.allocate(4096);
                client.read(page.asSlice(0, 512), 0);
                client.read(page, 4096);
                try {
                    client.read(page, SlowDisk.BROKEN);
                } catch (NbdException expected) {
                    assertThat(expected).hasMessageContaining("EIO");
                }
            }
            server.awaitNothingInUse();
        }
    }
}

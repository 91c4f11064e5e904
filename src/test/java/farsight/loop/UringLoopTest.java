package farsight.loop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.sys.ErrnoException;
import farsight.sys.Files;
import farsight.sys.Memory;
import farsight.sys.Uring;
import farsight.tools.Requires;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UringLoopTest extends LoopContract {
    @Override
    IoLoop start(LoopOptions options) throws ErrnoException {
        Requires.that(available(), "io_uring", "Linux 5.17 or newer with kernel.io_uring_disabled = 0");
        return new UringLoop("test", options);
    }

    private static boolean available() {
        try {
            new Uring(8).close();
            return true;
        } catch (ErrnoException e) {
            return false;
        }
    }

    /** More at once than the ring has entries, or place for results. */
    @Test
    void filesAreReadAndWrittenInAnyNumber(@TempDir Path directory) throws Exception {
        int count = 6000;
        int fd = Files.open(directory.resolve("file").toString(), Files.READ_WRITE | Files.CREATE);
        MemorySegment written = map(count * 512L);
        MemorySegment read = map(count * 512L);
        written.asSlice(0, count * 512L).copyFrom(MemorySegment.ofArray(random(count * 512)));
        AtomicInteger wrong = new AtomicInteger();
        CountDownLatch writes = new CountDownLatch(count);
        onLoop(() -> each(
                count,
                writes,
                wrong,
                (files, operation, i) ->
                        files.write(operation, fd, written.address() + i * 512L, 512, i * 512L, false)));
        assertThat(writes.await(60, TimeUnit.SECONDS)).isTrue();
        CountDownLatch reads = new CountDownLatch(count);
        onLoop(() -> each(
                count,
                reads,
                wrong,
                (files, operation, i) -> files.read(operation, fd, read.address() + i * 512L, 512, i * 512L)));
        assertThat(reads.await(60, TimeUnit.SECONDS)).isTrue();
        assertThat(wrong).hasValue(0);
        assertThat(read.mismatch(written)).isEqualTo(-1);
        assertThat(loop.counters().fileOperations()).isEqualTo(2L * count);
        Files.close(fd);
        Memory.unmap(written);
        Memory.unmap(read);
    }

    private interface Start {
        void start(FileIo files, FileOperation operation, int number);
    }

    private void each(int count, CountDownLatch done, AtomicInteger wrong, Start start) {
        FileIo files = loop.files();
        for (int i = 0; i < count; i++) {
            start.start(
                    files,
                    files.take(
                            (operation, result) -> {
                                files.giveBack(operation);
                                if (result != 512) {
                                    wrong.incrementAndGet();
                                }
                                done.countDown();
                            },
                            null),
                    i);
        }
    }

    @Test
    void aLoopThatEndsWaitsForItsFiles(@TempDir Path directory) throws Exception {
        int fd = Files.open(directory.resolve("file").toString(), Files.READ_WRITE | Files.CREATE);
        MemorySegment memory = map(1 << 20);
        memory.fill((byte) 7);
        AtomicInteger result = new AtomicInteger();
        onLoop(() -> {
            FileIo files = loop.files();
            files.write(
                    files.take(
                            (operation, bytes) -> {
                                files.giveBack(operation);
                                result.set(bytes);
                            },
                            null),
                    fd,
                    memory.address(),
                    1 << 20,
                    0,
                    true);
        });
        loop.close();
        loop = null;
        assertThat(result).hasValue(1 << 20);
        byte[] expected = new byte[1 << 20];
        Arrays.fill(expected, (byte) 7);
        assertThat(java.nio.file.Files.readAllBytes(directory.resolve("file"))).isEqualTo(expected);
        assertThat(memory.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 7);
        Files.close(fd);
        Memory.unmap(memory);
    }
}

package farsight.device;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.sys.FileLock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is kept of devices, and what of it is left by processes that were killed. */
class RunDirectoryTest {
    @TempDir
    Path folder;

    @Test
    void whatIsKnownIsReadBack() throws IOException {
        RunDirectory directory = new RunDirectory(folder);
        DeviceState state = state("");
        directory.store(state);
        assertThat(directory.state("nbd1")).contains(state);
        directory.store(state.madeBy("17"));
        assertThat(directory.state("nbd1")).contains(state("17"));
        assertThat(files()).containsExactly("nbd1");
    }

    @Test
    void theNextClientClearsAwayWhatOneHadBegunToWrite() throws IOException {
        RunDirectory directory = new RunDirectory(folder);
        directory.store(state("17"));
        Files.writeString(folder.resolve("nbd1.new"), "devi");
        Files.writeString(folder.resolve("nbd2.new"), "devi");
        try (FileLock lock = directory.lock("nbd1").orElseThrow()) {
            assertThat(lock).isNotNull();
            assertThat(files()).containsExactly("nbd1", "nbd1.lock", "nbd2.new");
        }
    }

    @Test
    void whoDoesNotGetTheLockTouchesNothing() throws IOException {
        RunDirectory directory = new RunDirectory(folder);
        try (FileLock lock = directory.lock("nbd1").orElseThrow()) {
            assertThat(lock).isNotNull();
            Files.writeString(folder.resolve("nbd1.new"), "devi");
            assertThat(directory.lock("nbd1")).isEmpty();
            assertThat(files()).containsExactly("nbd1.lock", "nbd1.new");
        }
    }

    @Test
    void nothingButTheLockOfADetachedDeviceIsLeft() throws IOException {
        RunDirectory directory = new RunDirectory(folder);
        directory.lock("nbd1").orElseThrow().close();
        directory.store(state("17"));
        directory.askDetach("nbd1", 17);
        Files.writeString(folder.resolve("nbd1.new"), "devi");
        directory.forget("nbd1");
        assertThat(files()).containsExactly("nbd1.lock");
    }

    @Test
    void theStateOfAnEarlierAttachmentIsToldFromThatOfThisOne() {
        assertThat(state("17").isAbout("17")).isTrue();
        assertThat(state("17").isAbout("18")).isFalse();
        // Written by this process, which lives, before the device is there.
        assertThat(state("").isAbout("18")).isTrue();
        assertThat(new DeviceState("nbd1", "nbd://h/d", "ioctl", "d", 4096, 1, 1, 1, 0, "", Long.MAX_VALUE)
                        .isAbout("18"))
                .isFalse();
    }

    private static DeviceState state(String owner) {
        long pid = ProcessHandle.current().pid();
        return new DeviceState("nbd1", "nbd://h/d", "netlink", "d", 4096, 1, 2, 2, 0, owner, pid);
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }
}

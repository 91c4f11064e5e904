package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.backend.memory.MemoryProvider;
import farsight.config.ServerConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is listed when backends are slow, or fail. */
class ExportListTest {
    private static final long SECONDS = 30;

    @TempDir
    Path directory;

    private final CountDownLatch first = new CountDownLatch(1);
    private final AtomicInteger asked = new AtomicInteger();

    @AfterEach
    void letGo() {
        first.countDown();
    }

    private interface Names {
        List<String> list() throws IOException;
    }

    private record Named(String name, Names names) implements BackendProvider {
        @Override
        public Backend configure(Settings server) {
            return new Backend() {
                @Override
                public Device open(Settings export) throws IOException {
                    throw new IOException("nothing to open");
                }

                @Override
                public List<String> list() throws IOException {
                    return names.list();
                }
            };
        }
    }

    /** Hangs when it is asked for the first time, until the test lets go. */
    private List<String> hang() throws IOException {
        if (asked.incrementAndGet() == 1) {
            try {
                first.await();
            } catch (InterruptedException e) {
                throw new IOException(e);
            }
        }
        return List.of("late");
    }

    private Catalog catalog() throws IOException {
        Map<String, BackendProvider> providers = Map.of(
                "memory",
                new MemoryProvider(),
                "hanging",
                new Named("hanging", this::hang),
                "good",
                new Named("good", () -> List.of("one", "two")),
                "failing",
                new Named("failing", () -> {
                    throw new IOException("the disk is on fire");
                }));
        Path file = Files.writeString(directory.resolve("server.toml"), """
            [hanging]
            [good]
            [failing]
            [exports.disk]
            backend = "memory"
            size = "1MiB"
            description = "a disk"
            """);
        return Catalog.of(ServerConfig.load(file, providers), providers, null);
    }

    private static List<String> names(ExportList list, Catalog catalog) throws Exception {
        return list.of(catalog).get(SECONDS, TimeUnit.SECONDS).stream()
                .map(ExportList.Listed::name)
                .toList();
    }

    @Test
    void storageThatHangsIsLeftOutAndAskedOnceAtATime() throws Exception {
        ExportList list = new ExportList(Duration.ofMillis(100));
        Catalog catalog = catalog();
        for (int i = 0; i < 3; i++) {
            assertThat(names(list, catalog)).containsExactly("disk", "good:one", "good:two");
        }
        assertThat(asked).hasValue(1);
        first.countDown();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
        List<String> now;
        do {
            now = names(list, catalog);
        } while (!now.contains("hanging:late") && System.nanoTime() < deadline);
        assertThat(now).containsExactly("disk", "good:one", "good:two", "hanging:late");
    }

    @Test
    void allWhoWaitGetTheSameAnswerAndLaterOnesAskAnew() throws Exception {
        ExportList list = new ExportList(Duration.ofSeconds(SECONDS));
        Catalog catalog = catalog();
        var one = list.of(catalog);
        var other = list.of(catalog);
        first.countDown();
        assertThat(one.get(SECONDS, TimeUnit.SECONDS))
                .contains(new ExportList.Listed("disk", "a disk"), new ExportList.Listed("hanging:late", ""))
                .isEqualTo(other.get(SECONDS, TimeUnit.SECONDS));
        assertThat(asked).hasValue(1);
        assertThat(names(list, catalog)).contains("hanging:late");
        assertThat(asked).hasValue(2);
    }
}

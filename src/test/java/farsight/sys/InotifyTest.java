package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InotifyTest {
    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final int ALL =
            Inotify.CREATED | Inotify.WRITTEN | Inotify.MOVED_IN | Inotify.MOVED_OUT | Inotify.DELETED;

    @TempDir
    Path directory;

    @Test
    void eventsHaveTheirKindAndName() throws IOException {
        try (Inotify inotify = new Inotify()) {
            inotify.watch(directory.toString(), ALL);
            Path file = Files.writeString(directory.resolve("a-name-of-some-length-é.toml"), "x");
            Path moved = Files.move(file, directory.resolve("b"));
            Files.delete(moved);
            String name = file.getFileName().toString();
            assertThat(await(inotify, 5))
                    .containsExactly(
                            new Inotify.Event(Inotify.CREATED, name),
                            new Inotify.Event(Inotify.WRITTEN, name),
                            new Inotify.Event(Inotify.MOVED_OUT, name),
                            new Inotify.Event(Inotify.MOVED_IN, "b"),
                            new Inotify.Event(Inotify.DELETED, "b"));
        }
    }

    @Test
    void theEndOfTheDirectoryIsAnEvent() throws IOException {
        try (Inotify inotify = new Inotify()) {
            Path inner = Files.createDirectory(directory.resolve("inner"));
            inotify.watch(inner.toString(), Inotify.WRITTEN);
            Files.delete(inner);
            assertThat(await(inotify, 1))
                    .allSatisfy(event -> assertThat(event.isEnd()).isTrue());
        }
    }

    @Test
    void withoutEventsItReturnsAfterTheTime() throws IOException {
        try (Inotify inotify = new Inotify()) {
            inotify.watch(directory.toString(), ALL);
            assertThat(inotify.await(Duration.ofMillis(1))).isEmpty();
        }
    }

    @Test
    void onlyDirectoriesAreWatched() throws IOException {
        Path file = Files.createFile(directory.resolve("file"));
        try (Inotify inotify = new Inotify()) {
            assertThatThrownBy(() -> inotify.watch(file.toString(), ALL)).hasMessageContaining("(ENOTDIR)");
        }
    }

    private static List<Inotify.Event> await(Inotify inotify, int count) throws IOException {
        List<Inotify.Event> events = new ArrayList<>();
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (events.size() < count && System.nanoTime() < deadline) {
            events.addAll(inotify.await(LIMIT));
        }
        return events;
    }
}

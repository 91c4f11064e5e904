package farsight.backend.file;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.sys.CallState;
import farsight.sys.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HolesTest {
    private static final int SIZE = 1 << 20;

    @TempDir
    Path directory;

    private int file(int written) throws Exception {
        Path path = directory.resolve("file");
        java.nio.file.Files.write(path, new byte[written]);
        int fd = Files.open(path.toString(), Files.READ_WRITE);
        Files.truncate(fd, SIZE);
        return fd;
    }

    @Test
    void aFileOfDataAloneHasNone() throws Exception {
        int fd = file(SIZE);
        Holes holes = new Holes(fd, SIZE);
        assertThat(holes.none()).isTrue();
        holes.punched();
        assertThat(holes.none()).isFalse();
        Files.close(fd);
    }

    @Test
    void aFileThatWasFilledIsFoundOutAfterAWhile() throws Exception {
        int fd = file(0);
        Holes holes = new Holes(fd, SIZE);
        assertThat(holes.none()).isFalse();
        java.nio.file.Files.write(directory.resolve("file"), new byte[SIZE]);
        try (CallState state = CallState.open()) {
            for (int i = 0; i < 256; i++) {
                assertThat(holes.none()).isFalse();
                holes.asked(state);
            }
        }
        assertThat(holes.none()).isTrue();
        Files.close(fd);
    }
}

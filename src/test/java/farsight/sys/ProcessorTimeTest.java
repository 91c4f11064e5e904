package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class ProcessorTimeTest {
    /** The numbers of the first line, by other means. */
    private static long[] told() throws IOException {
        String line = Files.readAllLines(Path.of("/proc/stat")).getFirst();
        String[] words = line.split(" +");
        long total = 0;
        for (int i = 1; i <= 8; i++) {
            total += Long.parseLong(words[i]);
        }
        return new long[] {Long.parseLong(words[4]) + Long.parseLong(words[5]), total};
    }

    @Test
    void isWhatTheKernelTells() throws IOException {
        ProcessorTime time = new ProcessorTime();
        for (int i = 0; i < 3; i++) {
            long[] before = told();
            assertThat(time.update()).isTrue();
            long[] after = told();
            assertThat(time.idle()).isBetween(before[0], after[0]);
            assertThat(time.total()).isBetween(before[1], after[1]);
        }
    }
}

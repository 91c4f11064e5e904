package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Project;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The corpus of the fuzzer, and what chance makes of it: mutations and mixtures, not guided by coverage. A failure has
 * the bytes in its message.
 */
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FuzzTest {
    private static final long SECONDS = Long.getLong("farsight.fuzz.seconds", 30);
    private static final int LEAST = 200;

    private static List<byte[]> corpus() throws IOException {
        List<byte[]> corpus = new ArrayList<>();
        try (Stream<Path> files = Files.list(Project.ROOT.resolve("src/test/fuzz/server"))) {
            for (Path file : files.sorted().toList()) {
                corpus.add(Files.readAllBytes(file));
            }
        }
        assertThat(corpus).isNotEmpty();
        return corpus;
    }

    @Test
    void theCorpusIsAnsweredOrRefused() throws IOException {
        for (byte[] input : corpus()) {
            ServerFuzz.fuzzerTestOneInput(input);
        }
        ServerFuzz.nothingIsLeft();
    }

    /** Whatever a message is cut to, nothing is left behind. */
    @Test
    void theCorpusMayEndAnywhere() throws IOException {
        for (byte[] input : corpus()) {
            for (int length = 0; length < input.length; length += length < 400 ? 1 : 37) {
                ServerFuzz.fuzzerTestOneInput(Arrays.copyOf(input, length));
            }
        }
        ServerFuzz.nothingIsLeft();
    }

    @Test
    void mutationsOfTheCorpusAreAnsweredOrRefused() throws IOException {
        List<byte[]> corpus = corpus();
        Random random = new Random(System.nanoTime());
        long end = System.nanoTime() + SECONDS * 1_000_000_000;
        for (int i = 0; i < LEAST || System.nanoTime() < end; i++) {
            byte[] input = corpus.get(random.nextInt(corpus.size())).clone();
            for (int changes = 1 + random.nextInt(6); changes > 0; changes--) {
                input = mutated(input, corpus, random);
            }
            ServerFuzz.fuzzerTestOneInput(input);
        }
        ServerFuzz.nothingIsLeft();
    }

    private static byte[] mutated(byte[] input, List<byte[]> corpus, Random random) {
        if (input.length < 16) {
            return corpus.get(random.nextInt(corpus.size())).clone();
        }
        int at = random.nextInt(input.length - 8);
        switch (random.nextInt(6)) {
            case 0 -> input[at] ^= (byte) (1 << random.nextInt(8));
            case 1 -> input[at] = (byte) random.nextInt(256);
            case 2 -> Arrays.fill(input, at, at + 1 + random.nextInt(8), (byte) (random.nextBoolean() ? 0 : 0xff));
            case 3 -> {
                byte[] shorter = Arrays.copyOf(input, input.length - 4);
                System.arraycopy(input, at + 4, shorter, at, shorter.length - at);
                return shorter;
            }
            case 4 -> {
                byte[] other = corpus.get(random.nextInt(corpus.size()));
                byte[] mixed = Arrays.copyOf(input, Math.min(ServerFuzz.LONGEST, at + other.length / 2));
                System.arraycopy(other, other.length - (mixed.length - at), mixed, at, mixed.length - at);
                return mixed;
            }
            default -> {
                byte[] longer = Arrays.copyOf(input, Math.min(ServerFuzz.LONGEST, input.length + 28));
                System.arraycopy(input, at, longer, Math.min(at + 28, longer.length - 8), 8);
                return longer;
            }
        }
        return input;
    }
}

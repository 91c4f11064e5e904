package farsight.server;

import farsight.tools.FuzzCorpus;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The corpus of the fuzzer, and what chance makes of it: mutations and mixtures, not guided by coverage. A failure has
 * the bytes in its message.
 */
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FuzzTest {
    private static final long SECONDS = Long.getLong("farsight.fuzz.seconds", 5);
    private static final int LEAST = 200;

    @Test
    void theCorpusIsAnsweredOrRefused() throws IOException {
        for (byte[] input : FuzzCorpus.load("server")) {
            ServerFuzz.fuzzerTestOneInput(input);
        }
        ServerFuzz.nothingIsLeft();
    }

    /** Whatever a message is cut to, nothing is left behind. */
    @Test
    void theCorpusMayEndAnywhere() throws IOException {
        for (byte[] input : FuzzCorpus.load("server")) {
            for (int length = 0; length < input.length; length += length < 400 ? 1 : 37) {
                ServerFuzz.fuzzerTestOneInput(Arrays.copyOf(input, length));
            }
        }
        ServerFuzz.nothingIsLeft();
    }

    @Test
    void mutationsOfTheCorpusAreAnsweredOrRefused() throws IOException {
        List<byte[]> corpus = FuzzCorpus.load("server");
        Random random = new Random(System.nanoTime());
        long end = System.nanoTime() + SECONDS * 1_000_000_000;
        for (int i = 0; i < LEAST || System.nanoTime() < end; i++) {
            ServerFuzz.fuzzerTestOneInput(FuzzCorpus.mutated(corpus, ServerFuzz.LONGEST, random));
        }
        ServerFuzz.nothingIsLeft();
    }
}

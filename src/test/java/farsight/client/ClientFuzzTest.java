package farsight.client;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.FuzzCorpus;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The corpus of the client's fuzzer, and what chance makes of it. A failure has the bytes in its message. */
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ClientFuzzTest {
    private static final long SECONDS = Long.getLong("farsight.fuzz.seconds", 5);
    private static final int LEAST = 2000;

    /** Else the fuzzer would begin at the door: some conversations have to get as far as each kind of answer. */
    @Test
    void theCorpusGetsEverywhere() throws IOException {
        String outcomes =
                FuzzCorpus.load("client").stream().map(ClientFuzzTest::outcome).collect(Collectors.joining("\n"));
        assertThat(outcomes)
                .contains(
                        "1: null",
                        "3: null",
                        "4: null",
                        "5: farsight.client.NbdException",
                        "6: null",
                        "7: null",
                        "8: null",
                        "Extent[",
                        "extended=true",
                        "ListedExport[",
                        "refused export");
    }

    private static String outcome(byte[] input) {
        try {
            return ClientFuzz.outcome(input);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void theCorpusMayEndAnywhere() throws IOException {
        for (byte[] input : FuzzCorpus.load("client")) {
            for (int length = 1; length < input.length; length++) {
                ClientFuzz.fuzzerTestOneInput(Arrays.copyOf(input, length));
            }
        }
    }

    @Test
    void mutationsOfTheCorpusDoNoHarm() throws IOException {
        List<byte[]> corpus = FuzzCorpus.load("client");
        Random random = new Random(System.nanoTime());
        long end = System.nanoTime() + SECONDS * 1_000_000_000;
        for (int i = 0; i < LEAST || System.nanoTime() < end; i++) {
            ClientFuzz.fuzzerTestOneInput(FuzzCorpus.mutated(corpus, ClientFuzz.LONGEST, random));
        }
    }
}

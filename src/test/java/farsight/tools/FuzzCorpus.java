package farsight.tools;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** The inputs that fuzzers begin with, below {@code src/test/fuzz}, and what chance makes of them. */
public final class FuzzCorpus {
    private FuzzCorpus() {}

    /** All inputs of a target, in the order of their names; never none. */
    public static List<byte[]> load(String target) throws IOException {
        List<byte[]> corpus = new ArrayList<>();
        try (Stream<Path> files =
                Files.list(Project.ROOT.resolve("src/test/fuzz").resolve(target))) {
            for (Path file : files.sorted().toList()) {
                corpus.add(Files.readAllBytes(file));
            }
        }
        if (corpus.isEmpty()) {
            throw new IOException("the corpus of " + target + " is empty");
        }
        return corpus;
    }

    /** One of the inputs, changed in up to six ways, which may mix it with another. */
    public static byte[] mutated(List<byte[]> corpus, int longest, Random random) {
        byte[] input = corpus.get(random.nextInt(corpus.size())).clone();
        for (int changes = 1 + random.nextInt(6); changes > 0; changes--) {
            input = mutated(input, corpus, longest, random);
        }
        return input;
    }

    private static byte[] mutated(byte[] input, List<byte[]> corpus, int longest, Random random) {
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
                byte[] mixed = Arrays.copyOf(input, Math.min(longest, at + other.length / 2));
                System.arraycopy(other, other.length - (mixed.length - at), mixed, at, mixed.length - at);
                return mixed;
            }
            default -> {
                byte[] longer = Arrays.copyOf(input, Math.min(longest, input.length + 28));
                System.arraycopy(input, at, longer, Math.min(at + 28, longer.length - 8), 8);
                return longer;
            }
        }
        return input;
    }
}

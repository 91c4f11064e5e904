package farsight.config;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;

/** What somebody may have meant by a word that does not exist. */
final class Suggestion {
    private Suggestion() {}

    /**
     * The nearest of the words that exist, if one is near: a typing mistake for every three letters. Upper case, and
     * dashes for underscores, are no mistakes here.
     */
    static Optional<String> of(String word, Collection<String> words) {
        String typed = plain(word);
        String best = null;
        int bestDistance = Math.max(1, typed.length() / 3) + 1;
        for (String candidate : words.stream().sorted().toList()) {
            // Also what keeps a word of the length of a file from being compared.
            if (Math.abs(candidate.length() - typed.length()) >= bestDistance) {
                continue;
            }
            int distance = distance(typed, plain(candidate));
            // All letters changed is another word, not a mistyped one.
            if (distance < bestDistance && distance < candidate.length()) {
                best = candidate;
                bestDistance = distance;
            }
        }
        return Optional.ofNullable(best);
    }

    /** The end of a message about a backend that does not exist. */
    static String backend(String name, Collection<String> backends) {
        return of(name, backends)
                .map(near -> "did you mean \"" + near + "\"?")
                .orElse(
                        backends.isEmpty()
                                ? "there are none"
                                : "there are "
                                        + String.join(
                                                ", ", backends.stream().sorted().toList()));
    }

    private static String plain(String word) {
        return word.toLowerCase(Locale.ROOT).replace('-', '_');
    }

    /** Edits from one word to the other, with a swap of neighbours as one edit (optimal string alignment). */
    static int distance(String a, String b) {
        int[][] d = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    d[i][j] = i + j;
                    continue;
                }
                int change = a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1;
                int least = Math.min(d[i - 1][j - 1] + change, Math.min(d[i - 1][j], d[i][j - 1]) + 1);
                boolean swapped =
                        i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1);
                d[i][j] = swapped ? Math.min(least, d[i - 2][j - 2] + 1) : least;
            }
        }
        return d[a.length()][b.length()];
    }
}

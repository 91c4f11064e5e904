package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SuggestionTest {
    private static final List<String> WORDS =
            List.of("address", "port", "unix", "max_errors", "max_connections", "root", "size", "path");

    @ParameterizedTest
    @CsvSource({
        "adress, address",
        "addres, address",
        "addresss, address",
        "adresse, address",
        "prot, port",
        "porf, port",
        "potr, port",
        "unux, unix",
        "maxerrors, max_errors",
        "max-errors, max_errors",
        "MAX_ERRORS, max_errors",
        "maxConnections, max_connections",
        "max_conections, max_connections",
        "Port, port",
        "siez, size",
    })
    void aMistypedWordFindsTheOneThatWasMeant(String typed, String meant) {
        assertThat(Suggestion.of(typed, WORDS)).contains(meant);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a", "tls", "colour", "xxxx", "errors_max", "supercalifragilistic"})
    void nothingIsSuggestedWhereNothingIsNear(String typed) {
        assertThat(Suggestion.of(typed, WORDS)).isEmpty();
    }

    @Test
    void aShortWordIsNotTakenForAnyOtherShortWord() {
        assertThat(Suggestion.of("x", List.of("a", "b"))).isEmpty();
    }

    @Test
    void ofEquallyNearWordsItIsAlwaysTheSame() {
        assertThat(Suggestion.of("pot", List.of("pod", "pat"))).contains("pat");
        assertThat(Suggestion.of("pot", List.of("pat", "pod"))).contains("pat");
    }

    @Test
    void aWordAsLongAsAFileIsNotCompared() {
        assertThat(Suggestion.of("x".repeat(1 << 20), WORDS)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "'', '', 0",
        "abc, abc, 0",
        "'', abc, 3",
        "abc, '', 3",
        "abc, abd, 1",
        "abc, ab, 1",
        "abc, acb, 1",
        "abc, abcd, 1",
        "kitten, sitting, 3",
        "ca, abc, 3"
    })
    void aSwapOfNeighboursIsOneEdit(String a, String b, int edits) {
        assertThat(Suggestion.distance(a, b)).isEqualTo(edits);
        assertThat(Suggestion.distance(b, a)).isEqualTo(edits);
    }

    @ParameterizedTest
    @CsvSource(
            value = {"memroy | did you mean \"memory\"?", "ceph | there are file, memory"},
            delimiter = '|')
    void aBackendThatDoesNotExistIsAnsweredWithThoseThatDo(String typed, String answer) {
        assertThat(Suggestion.backend(typed, List.of("memory", "file"))).isEqualTo(answer);
    }
}

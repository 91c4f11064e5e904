package farsight.backend.rbd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImageSpecTest {
    @ParameterizedTest
    @ValueSource(strings = {"pool/image", "pool/ns/image", "pool/image@snap", "pool/ns/image@snap"})
    void whatIsWrittenAsCephDoesIsReadBack(String text) {
        assertThat(ImageSpec.parse(text)).hasToString(text);
        assertThat(ImageSpec.of(ImageSpec.parse(text).settings())).hasToString(text);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "image", "a/b/c/d", "/image", "pool/", "pool/image@", "pool/image@a@b"})
    void whatNamesNoImageIsRefused(String text) {
        assertThatThrownBy(() -> ImageSpec.parse(text)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @CsvSource({
        "pool/image, pool/*, true",
        "pool/image, pool/im*, true",
        "pool/image@snap, pool/image, true",
        "pool/ns/image, pool/*, false",
        "pool/ns/image, pool/ns/*, true",
        "other/image, pool/*, false",
        "poolx/image, pool*/image, true",
        "pool/imageX, pool/image, false",
        "pool/a.b, pool/a?b, false"
    })
    void patternsMeanWhatIsBetweenSlashes(String image, String pattern, boolean matches) {
        assertThat(ImageSpec.parse(image).matches(pattern)).isEqualTo(matches);
    }

    @Test
    void snapshotsAreApartFromTheirImage() {
        assertThat(ImageSpec.parse("p/i@s").snapshot()).isEqualTo("s");
    }
}

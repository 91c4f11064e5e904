package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SizesTest {
    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "1, 1",
        "4096, 4096",
        "8B, 8",
        "1k, 1024",
        "64K, 65536",
        "64KiB, 65536",
        "512MiB, 536870912",
        "512mib, 536870912",
        "512 MiB, 536870912",
        "' 2G ', 2147483648",
        "4GiB, 4294967296",
        "16T, 17592186044416",
        "1PiB, 1125899906842624",
        "7EiB, 8070450532247928832",
        "9223372036854775807, 9223372036854775807"
    })
    void sizesHaveUnitsOfPowersOf1024(String text, long bytes) {
        assertThat(Sizes.parse(text)).isEqualTo(bytes);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", " ", "MiB", "-1", "+1", "1.5GiB", "1,5G", "0x10", "1_000", "12X", "1Mi", "5iB", "1 2", "١"})
    void whatIsNoSizeIsRefused(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Sizes.parse(text))
                .withMessage("'" + text + "' is not a size such as 4096, 64K or 512MiB, in whole numbers");
    }

    @ParameterizedTest
    @ValueSource(strings = {"9223372036854775808", "8EiB", "9000000T", "99999999999999999999999"})
    void sizesFrom2To63OnAreRefused(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Sizes.parse(text))
                .withMessage("'" + text + "' is more than 2^63-1 bytes");
    }

    @ParameterizedTest
    @CsvSource({"512MB, 512MiB", "1kb, 1KiB", "2 gb, 2GiB"})
    void sizesThatCouldBePowersOf1000AreRefused(String text, String remedy) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Sizes.parse(text))
                .withMessageContaining("write " + remedy);
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "1000, 1000",
        "1023, 1023",
        "1024, 1KiB",
        "1025, 1025",
        "1572864, 1536KiB",
        "1073741824, 1GiB",
        "1152921504606846976, 1EiB",
        "9223372036854775807, 9223372036854775807"
    })
    void theFormattedSizeIsExactAndReadBack(long bytes, String text) {
        assertThat(Sizes.format(bytes)).isEqualTo(text);
        assertThat(Sizes.parse(text)).isEqualTo(bytes);
    }

    @ParameterizedTest
    @CsvSource({
        "0, PT0S",
        "30, PT30S",
        "30s, PT30S",
        "500ms, PT0.5S",
        "50us, PT0.00005S",
        "500 ms, PT0.5S",
        "5m, PT5M",
        "1h, PT1H",
        "2H, PT2H",
        "90, PT1M30S"
    })
    void timesHaveUnits(String text, Duration time) {
        assertThat(Sizes.parseTime(text)).isEqualTo(time);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "soon", "-1", "1.5s", "1d", "1 week", "s", "1ns"})
    void whatIsNoTimeIsRefused(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Sizes.parseTime(text))
                .withMessage("'" + text + "' is not a time such as 30, 500ms, 5m or 1h, in whole numbers");
    }

    @ParameterizedTest
    @ValueSource(strings = {"9223372036854775808", "9223372036854775807h", "9223372036854775807m"})
    void timesThatNobodyLivesToSeeAreRefused(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Sizes.parseTime(text))
                .withMessage("'" + text + "' is too long a time");
    }

    @ParameterizedTest
    @CsvSource({"PT0S, 0s", "PT0.5S, 500ms", "PT30S, 30s", "PT90S, 90s", "PT5M, 5m", "PT1H, 1h", "PT90M, 90m"})
    void theFormattedTimeIsExactAndReadBack(Duration time, String text) {
        assertThat(Sizes.formatTime(time)).isEqualTo(text);
        assertThat(Sizes.parseTime(text)).isEqualTo(time);
    }
}

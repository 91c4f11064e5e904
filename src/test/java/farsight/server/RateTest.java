package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.config.ExportRates;
import org.junit.jupiter.api.Test;

/** What an export may be asked in a second, by a clock that is set. */
class RateTest {
    private static final long SECOND = 1_000_000_000;
    private static final long START = Long.MAX_VALUE - SECOND; // clocks may start anywhere, and wrap

    /** How many requests begin within a time, when there is always a next one. */
    private static long begun(Rate rate, long nanos, long bytes) {
        long now = START;
        long count = 0;
        while (now - START < nanos) {
            long delay = rate.delay(now);
            if (delay == 0) {
                rate.charge(now, bytes);
                count++;
            } else {
                now += delay;
            }
        }
        return count;
    }

    @Test
    void requestsAreLimited() {
        // A tenth of a second's worth may be asked at once, and one more.
        assertThat(begun(new Rate(new ExportRates(0, 1000), START), 10 * SECOND, 1 << 20))
                .isBetween(10_000L, 10_101L);
    }

    @Test
    void bytesAreLimitedWhateverTheSizeOfRequests() {
        for (long bytes : new long[] {512, 4096, 1 << 20, 32 << 20}) {
            long all = bytes * begun(new Rate(new ExportRates(10 << 20, 0), START), 100 * SECOND, bytes);
            assertThat(all).as("requests of " + bytes).isBetween(1000L << 20, (1002L << 20) + 2 * bytes);
        }
    }

    @Test
    void theStricterOneCounts() {
        assertThat(begun(new Rate(new ExportRates(1 << 20, 1000), START), 10 * SECOND, 512))
                .isBetween(10_000L, 10_101L);
        assertThat(begun(new Rate(new ExportRates(1 << 20, 1000), START), 10 * SECOND, 64 << 10))
                .isBetween(160L, 163L);
    }

    @Test
    void whatWasNotAskedForIsNotSavedUp() {
        Rate rate = new Rate(new ExportRates(0, 1000), START);
        long later = START + 3600 * SECOND;
        int burst = 0;
        while (rate.delay(later) == 0) {
            rate.charge(later, 0);
            burst++;
        }
        assertThat(burst).isEqualTo(101);
    }
}

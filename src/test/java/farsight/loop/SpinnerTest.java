package farsight.loop;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SpinnerTest {
    private static final long FORTY_MICROSECONDS = 40_000;
    private static final int READ = 28;
    private static final int WRITE = READ + 4096;

    private final Spinner spinner = new Spinner(FORTY_MICROSECONDS);

    @Test
    void aClientThatWaitsForEachAnswerIsLookedFor() {
        assertThat(spinner.wanted(1, READ, false)).isTrue();
        assertThat(spinner.wanted(3, 3 * READ, true)).as("two of them").isTrue();
    }

    @Test
    void aBatchOfReadsIsNot() {
        assertThat(spinner.wanted(32, 32 * READ, false)).isFalse();
    }

    @Test
    void aClientThatIsSendingWritesIs() {
        assertThat(spinner.wanted(32, 32 * WRITE, false)).isTrue();
        assertThat(spinner.wanted(64, 64 * WRITE, true)).as("with others").isFalse();
        assertThat(spinner.wanted(64 + 32, 64 * WRITE + 32 * READ, false))
                .as("reads that follow")
                .isFalse();
    }

    @Test
    void storageThatIsWaitedForIsNot() {
        assertThat(spinner.wanted(0, 32 * WRITE, false)).isFalse();
    }

    @Test
    void oneThatLooksInVainPausesForTwiceAsManySleeps() {
        int answered = 0;
        assertThat(spinner.wanted(++answered, 0, false)).isTrue();
        lookInVain();
        for (int pause = 1; pause <= 64; pause *= 2) {
            assertThat(spinner.wanted(++answered, 0, false)).isTrue();
            lookInVain();
            for (int i = 0; i < pause; i++) {
                assertThat(spinner.wanted(++answered, 0, false))
                        .as("%d of %d", i, pause)
                        .isFalse();
            }
        }
        assertThat(spinner.wanted(++answered, 0, false)).isTrue();
        spinner.found();
        assertThat(spinner.wanted(++answered, 0, false)).isTrue();
    }

    @Test
    void oneTimeInVainIsForgiven() {
        spinner.wanted(1, 0, false);
        spinner.found();
        assertThat(spinner.wanted(2, 0, false)).isTrue();
        lookInVain();
        assertThat(spinner.wanted(3, 0, false)).isTrue();
        spinner.found();
        assertThat(spinner.wanted(4, 0, false)).isTrue();
        lookInVain();
        assertThat(spinner.wanted(5, 0, false)).isTrue();
        lookInVain();
        assertThat(spinner.wanted(6, 0, false)).isFalse();
    }

    @Test
    void noTimeIsNever() {
        assertThat(new Spinner(0).wanted(1, READ, false)).isFalse();
    }

    private void lookInVain() {
        spinner.begin();
        while (spinner.goesOn()) {
            Thread.onSpinWait();
        }
    }
}

package farsight.loop;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PatienceTest {
    private static final long SHORT = 10_000;

    private final Patience patience = new Patience();
    private long now = -5_000; // an arbitrary origin
    private long turn = now;

    @BeforeEach
    void allow() {
        patience.allow(true);
    }

    @Test
    void nobodyWaitsWhoIsNotAllowedTo() {
        assertThat(new Patience().lasts(turn, now)).isFalse();
        assertThat(patience.lasts(turn, now)).isTrue();
        patience.allow(false);
        assertThat(patience.lasts(turn, now)).isFalse();
    }

    @Test
    void onlyPartOfATurnIsSpentOnIt() {
        long calls = 0;
        while (patience.lasts(turn, now)) {
            call(SHORT);
            calls++;
        }
        assertThat(calls * SHORT).isEqualTo(Patience.OF_A_TURN);
        turn = now;
        assertThat(patience.lasts(turn, now)).as("the next turn").isTrue();
    }

    @Test
    void afterALongCallThereIsAPause() {
        call(Patience.LONG);
        assertPause(Patience.SHORTEST_PAUSE);
    }

    @Test
    void theNextLongCallsMakeThePauseLongerAndLonger() {
        call(Patience.LONG);
        long pause = Patience.SHORTEST_PAUSE;
        for (int i = 0; i < 12; i++) {
            assertPause(pause);
            call(SHORT);
            call(Patience.LONG);
            pause = Math.min(pause * 2, Patience.LONGEST_PAUSE);
        }
        assertThat(pause).isEqualTo(Patience.LONGEST_PAUSE);
    }

    @Test
    void whatWasLongAgoIsForgotten() {
        call(Patience.LONG);
        assertPause(Patience.SHORTEST_PAUSE);
        call(Patience.LONG);
        assertPause(2 * Patience.SHORTEST_PAUSE);
        now += 2 * Patience.SHORTEST_PAUSE;
        call(Patience.LONG);
        assertPause(Patience.SHORTEST_PAUSE);
    }

    private void call(long takes) {
        long began = now;
        now += takes;
        patience.called(began, now);
    }

    /** Passes it. */
    private void assertPause(long length) {
        turn = now;
        assertThat(patience.lasts(turn, now)).isFalse();
        now += length - 1;
        turn = now;
        assertThat(patience.lasts(turn, now))
                .as("before %d ns are over", length)
                .isFalse();
        now++;
        turn = now;
        assertThat(patience.lasts(turn, now)).as("after %d ns", length).isTrue();
    }
}

package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Map;
import org.junit.jupiter.api.Test;

class ActivationTest {
    @Test
    void socketsAreThoseFromDescriptorThreeOnWhenTheyAreForThisProcess() {
        assertThat(Activation.sockets(Map.of(), 7)).isEmpty();
        assertThat(Activation.sockets(Map.of("LISTEN_FDS", "2"), 7)).isEmpty();
        assertThat(Activation.sockets(Map.of("LISTEN_FDS", "2", "LISTEN_PID", "8"), 7))
                .isEmpty();
        assertThat(Activation.sockets(Map.of("LISTEN_FDS", "2", "LISTEN_PID", "7", "LISTEN_FDNAMES", "a:b"), 7))
                .containsExactly(3, 4);
    }

    @Test
    void aNumberThatMakesNoSenseIsRefused() {
        for (String count : new String[] {"0", "-1", "x", "", "1025", "99999999999"}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> Activation.sockets(Map.of("LISTEN_FDS", count, "LISTEN_PID", "7"), 7))
                    .withMessageContaining("LISTEN_FDS is '" + count + "'");
        }
    }
}

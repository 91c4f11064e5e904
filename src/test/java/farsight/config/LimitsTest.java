package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class LimitsTest {
    private static final Duration SECOND = Duration.ofSeconds(1);

    @Test
    void theLeastThatMakesSenseIsAllowed() {
        assertThat(new Limits(1, 1, 1, 0, 1, Duration.ofMillis(1), 1).maxErrors())
                .isZero();
    }

    @Test
    void whatWouldServeNobodyIsRefused() {
        refused(() -> new Limits(0, 1, 1, 0, 1, SECOND, 1), "maxConnections is 0; it must be at least 1");
        refused(() -> new Limits(1, 0, 1, 0, 1, SECOND, 1), "maxRequests is 0; it must be at least 1");
        refused(() -> new Limits(1, 1, 0, 0, 1, SECOND, 1), "maxBytes is 0; it must be at least 1");
        refused(() -> new Limits(1, 1, 1, -1, 1, SECOND, 1), "maxErrors is -1; it must be at least 0");
        refused(() -> new Limits(1, 1, 1, 0, 0, SECOND, 1), "maxOptions is 0; it must be at least 1");
        refused(
                () -> new Limits(1, 1, 1, 0, 1, Duration.ZERO, 1),
                "handshakeTimeout in ms is 0; it must be at least 1");
        refused(() -> new Limits(1, 1, 1, 0, 1, SECOND, 0), "poolBytes is 0; it must be at least 1");
        refused(
                () -> Limits.DEFAULT.withShutdownTimeout(Duration.ZERO),
                "shutdownTimeout in ms is 0; it must be at least 1");
    }

    private static void refused(org.assertj.core.api.ThrowableAssert.ThrowingCallable limits, String message) {
        assertThatIllegalArgumentException().isThrownBy(limits).withMessage(message);
    }

    @Test
    void onlyTheErrorsChange() {
        Limits changed = Limits.DEFAULT.withMaxErrors(3);
        assertThat(changed.maxErrors()).isEqualTo(3);
        assertThat(changed.withMaxErrors(Limits.DEFAULT.maxErrors())).isEqualTo(Limits.DEFAULT);
    }
}

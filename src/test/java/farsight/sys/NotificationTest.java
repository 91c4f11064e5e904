package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the environment asks for; that it is sent is for {@code ServiceTest}. */
class NotificationTest {
    @Test
    void withoutAServiceManagerNothingIsSent() throws IOException {
        Notification notification = Notification.of(Map.of("WATCHDOG_USEC", "1000000"));
        assertThat(notification.isWanted()).isFalse();
        assertThat(notification.watchdog()).isEmpty();
        notification.ready("nobody hears it");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "relative",
                "vsock:2:1234",
                "/a-path-that-is-too-long-0123456789012345678901234567890"
                        + "123456789012345678901234567890123456789012345678901234567890"
            })
    void whatIsNoSocketIsOneLine(String socket) {
        assertThatThrownBy(() -> Notification.of(Map.of("NOTIFY_SOCKET", socket)))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith("NOTIFY_SOCKET is '" + socket + "', which is neither a path nor an abstract");
    }

    @Test
    void aSocketThatNobodyReadsIsAnError() throws IOException {
        Notification notification = Notification.of(Map.of("NOTIFY_SOCKET", "@farsight-nobody-listens-here"));
        assertThat(notification.isWanted()).isTrue();
        assertThatThrownBy(() -> notification.ready("")).hasMessageContaining("notify the service manager: ");
    }

    @ParameterizedTest
    @CsvSource({"1, ", "1500000, ", "2000000, self"})
    void theWatchdogGivesATime(long micros, String process) throws IOException {
        Map<String, String> environment = process == null
                ? Map.of("NOTIFY_SOCKET", "@x", "WATCHDOG_USEC", Long.toString(micros))
                : Map.of(
                        "NOTIFY_SOCKET", "@x",
                        "WATCHDOG_USEC", Long.toString(micros),
                        "WATCHDOG_PID", Long.toString(ProcessHandle.current().pid()));
        assertThat(Notification.of(environment).watchdog()).contains(Duration.ofNanos(micros * 1000));
    }

    @ParameterizedTest
    @CsvSource({"0, ", "-1, ", "soon, ", "99999999999999999999, ", "1000000, 1"})
    void aWatchdogThatIsNotForThisProcessIsNone(String micros, String process) throws IOException {
        Map<String, String> environment = process == null
                ? Map.of("NOTIFY_SOCKET", "@x", "WATCHDOG_USEC", micros)
                : Map.of("NOTIFY_SOCKET", "@x", "WATCHDOG_USEC", micros, "WATCHDOG_PID", process);
        assertThat(Notification.of(environment).watchdog()).isEmpty();
    }
}

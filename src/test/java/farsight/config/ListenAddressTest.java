package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ListenAddressTest {
    @ParameterizedTest
    @CsvSource({
        "localhost:10809, localhost, 10809",
        "127.0.0.1:0, 127.0.0.1, 0",
        "0.0.0.0:65535, 0.0.0.0, 65535",
        "[::]:10809, ::, 10809",
        "[::1]:1, ::1, 1",
        "[fe80::1%eth0]:5, fe80::1%eth0, 5",
        "[::ffff:10.0.0.1]:5, ::ffff:10.0.0.1, 5",
        "storage-1.example.org:10809, storage-1.example.org, 10809",
        "host.:1, host., 1",
    })
    void tcpIsHostAndPort(String text, String host, int port) {
        ListenAddress address = ListenAddress.parse(text);
        assertThat(address).isEqualTo(new ListenAddress.Tcp(host, port)).hasToString(text);
    }

    @ParameterizedTest
    @CsvSource({"unix:/run/farsight.sock, /run/farsight.sock", "unix:x, x", "unix:/a:1, /a:1", "unix:/a b, /a b"})
    void unixIsAPath(String text, String path) {
        assertThat(ListenAddress.parse(text))
                .isEqualTo(new ListenAddress.Unix(path))
                .hasToString(text);
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "'' | is not HOST:PORT, [IPV6]:PORT or unix:PATH",
                "localhost | is not HOST:PORT",
                "10809 | is not HOST:PORT",
                ":10809 | is not HOST:PORT",
                "::1:10809 | is not HOST:PORT, [IPV6]:PORT",
                "/run/sock | is not HOST:PORT",
                "unix: | needs a path of 1 to 107 bytes",
                "host: | needs a port from 0",
                "host:x | needs a port from 0",
                "host:-1 | needs a port from 0",
                "host:65536 | needs a port from 0",
                "host:999999999999 | needs a port from 0",
                "[::1]: | needs a port from 0",
                "[::1:10809 | is not HOST:PORT",
                "[::g]:1 | has a host that is not an IPv6 address",
                "[]:1 | has a host that is empty",
                "1.2.3:1 | has a host that is not an IPv4 address",
                "1.2.3.256:1 | has a host that is not an IPv4 address",
                "a b:1 | has a host that is neither",
                "*:1 | has a host that is neither",
                "-a:1 | has a host that is neither",
                "a..b:1 | has a host that is neither",
            },
            delimiter = '|')
    void whatIsNoAddressIsRefusedWithTheReason(String text, String reason) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ListenAddress.parse(text))
                .withMessageStartingWith("address '" + text + "' ")
                .withMessageContaining(reason);
    }

    @Test
    void aUnixPathHasAtMost107Bytes() {
        assertThat(ListenAddress.parse("unix:/" + "a".repeat(106))).isInstanceOf(ListenAddress.Unix.class);
        // Bytes, not characters.
        assertThatIllegalArgumentException().isThrownBy(() -> ListenAddress.parse("unix:/" + "ä".repeat(54)));
        assertThatIllegalArgumentException().isThrownBy(() -> ListenAddress.parse("unix:/a\0b"));
    }
}

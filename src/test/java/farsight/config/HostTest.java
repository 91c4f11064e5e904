package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HostTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "localhost",
                "a",
                "a-b.c-d",
                "x_y",
                "host.",
                "127.0.0.1",
                "0.0.0.0",
                "255.255.255.255",
                "::",
                "::1",
                "2001:db8::1",
                "fe80::1%eth0",
                "::ffff:1.2.3.4",
                "1a.example"
            })
    void addressesAndNamesAreGood(String host) {
        assertThat(Host.problem(host)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "'' | is empty",
                "[::1] | has brackets",
                "localhost:10809 | has a port in it; write that as port = 10809",
                "127.0.0.1:99 | has a port in it; write that as port = 99",
                "1:2:3 | is not an IPv6 address",
                "::1::2 | is not an IPv6 address",
                "host:port | is not an IPv6 address",
                "127.1 | is not an IPv4 address",
                "1.2.3.4.5 | is not an IPv4 address",
                "1.2.3.999 | is not an IPv4 address",
                "12345 | is not an IPv4 address",
                "a b | is neither",
                "a/b | is neither",
                "a..b | is neither",
                ".a | is neither",
                "-a | is neither",
                "ä.de | is neither",
            },
            delimiter = '|')
    void othersAreNot(String host, String reason) {
        assertThat(Host.problem(host))
                .hasValueSatisfying(problem -> assertThat(problem).startsWith(reason));
    }

    /** The examples of RFC 5952, sections 4 and 5, and what is near them. */
    @ParameterizedTest
    @CsvSource({
        "2001:0db8::0001, 2001:db8::1",
        "2001:db8:0:0:0:0:2:1, 2001:db8::2:1",
        "2001:db8:0:1:1:1:1:1, 2001:db8:0:1:1:1:1:1",
        "2001:0:0:1:0:0:0:1, 2001:0:0:1::1",
        "2001:db8:0:0:1:0:0:1, 2001:db8::1:0:0:1",
        "2001:DB8::AB, 2001:db8::ab",
        "0:0:0:0:0:0:0:0, ::",
        "0:0:0:0:0:0:0:1, ::1",
        "1:0:0:0:0:0:0:0, 1::",
        "1:2:3:4:5:6:7:8, 1:2:3:4:5:6:7:8",
        "fe80:0:0:0:0:0:0:1%2, fe80::1%2",
        "::ffff:1.2.3.4, 1.2.3.4",
        "1.2.3.4, 1.2.3.4",
        "Example.org, Example.org",
    })
    void anIpv6AddressHasOneShortForm(String host, String canonical) {
        assertThat(Host.canonical(host)).isEqualTo(canonical);
    }
}

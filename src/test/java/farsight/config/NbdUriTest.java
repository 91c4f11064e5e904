package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NbdUriTest {
    /** The first six are the table of doc/uri.md. */
    @ParameterizedTest
    @CsvSource({
        "nbd://example.com/disk, example.com, 10809, disk",
        "nbd://example.com/, example.com, 10809, ''",
        "nbd://example.com, example.com, 10809, ''",
        "nbd://example.com//disk, example.com, 10809, /disk",
        "nbd://example.com/hello%20world, example.com, 10809, hello world",
        "nbd://example.com:10809/export, example.com, 10809, export",
        "nbd://10.0.0.1:1/a, 10.0.0.1, 1, a",
        "nbd://host:65535/a, host, 65535, a",
        "nbd://host:/a, host, 10809, a",
        "NBD://host/A, host, 10809, A",
        "nbd:///a, localhost, 10809, a",
        "nbd://, localhost, 10809, ''",
        "nbd://[::1]/a, ::1, 10809, a",
        "nbd://[::1]:9/a, ::1, 9, a",
        "nbd://[0:0:0:0:0:0:0:1]:9/a, ::1, 9, a",
        "nbd://[FE80::00A%25eth0]/a, fe80::a%eth0, 10809, a",
        "nbd://[fe80::1%eth0]:2/a, fe80::1%eth0, 2, a",
        "nbd://host/rbd:pool/image@snap, host, 10809, rbd:pool/image@snap",
        "nbd://host/a%2Fb%3f%23%25, host, 10809, a/b?#%",
        "nbd://host/1+1, host, 10809, 1+1",
        "nbd://host/%C3%A4, host, 10809, ä",
        "nbd://host/a=b&c;d, host, 10809, a=b&c;d",
        "nbd://h%6Fst/a, host, 10809, a",
    })
    void tcp(String text, String host, int port, String export) {
        assertThat(NbdUri.parse(text)).isEqualTo(NbdUri.tcp(host, port, export));
    }

    @ParameterizedTest
    @CsvSource({
        "nbd+unix:///disk?socket=sock, sock, disk",
        "nbd+unix:///?socket=/tmp/a, /tmp/a, ''",
        "nbd+unix://?socket=/tmp/a, /tmp/a, ''",
        "nbd+unix:///a/b?socket=%2Ftmp%2Fa%20b, /tmp/a b, a/b",
        "nbd+unix:///a?socket=/x=y?z, /x=y?z, a",
        "NBD+UNIX:///a?socket=/x, /x, a",
    })
    void unix(String text, String socket, String export) {
        assertThat(NbdUri.parse(text)).isEqualTo(NbdUri.unix(socket, export));
        assertThat(NbdUri.parse(text).isUnix()).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "'' | not nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH",
                "disk.img | not nbd://HOST",
                "http://host/a | not nbd://HOST",
                "nbd:host/a | not nbd://HOST",
                "nbds+unix:///a | the path of the socket is missing",
                "nbds://host/a?tls-verify-peer=maybe | tls-verify-peer must be true or false",
                "nbds://host/a?tls-certificates= | tls-certificates must be a directory",
                "nbds://host/a?tls-hostname= | tls-hostname must be a name or an address",
                "nbds://host/a?tls-hostname=a&tls-hostname=b | there must be one tls-hostname=VALUE",
                "nbd://host/a?tls-type=x509 | unknown parameter 'tls-type'; known are socket, tls-certificates,",
                "nbd://host/a?x=1 | unknown parameter 'x'",
                "nbd://host/a?socket=/x | a socket goes with nbd+unix",
                "nbd://host/a#b | is written %23",
                "nbd://user@host/a | users (TLS with pre-shared keys) are not supported",
                "nbd://host:0/a | the port must be from 1 to 65535",
                "nbd://host:65536/a | the port must be from 1 to 65535",
                "nbd://host:-1/a | the port must be from 1 to 65535",
                "nbd://host:ten/a | the port must be from 1 to 65535",
                "nbd://::1/a | an IPv6 address needs brackets",
                "nbd://::1:10809/a | an IPv6 address needs brackets",
                "nbd://[::1/a | an IPv6 address needs brackets",
                "nbd://[::x]/a | is not an IPv6 address",
                "nbd://[host]/a | in the brackets must be an IPv6 address",
                "nbd://1.2.3.4.5/a | is not an IPv4 address",
                "nbd://a b/a | is neither an IPv4 or IPv6 address",
                "nbd://host/a%2 | a '%' must be followed by two hexadecimal digits",
                "nbd://host/a% | a '%' must be followed by two hexadecimal digits",
                "nbd://host/%zz | a '%' must be followed by two hexadecimal digits",
                "nbd://host/%C3 | is not UTF-8",
                "nbd://host/a%00b | has a NUL",
                "nbd+unix:///a | the path of the socket is missing",
                "nbd+unix:///a?socket= | the path of the socket is missing",
                "nbd+unix:///a?socket | there must be one socket=PATH",
                "nbd+unix:///a?socket=x&socket=y | there must be one socket=PATH",
                "nbd+unix:///a?socket=%00x | abstract sockets are not supported",
                "nbd+unix://tmp/x?socket=y | three slashes",
                "nbd+unix:///a?socket=/x&tls-hostname=b | tls-hostname goes with nbds:// and nbds+unix://",
            },
            delimiter = '|')
    void whatIsNoUriIsRefusedWithTheReason(String text, String reason) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> NbdUri.parse(text))
                .withMessageStartingWith("'" + text + "': ")
                .withMessageContaining(reason);
    }

    @ParameterizedTest
    @CsvSource({
        "example.com, 10809, disk, nbd://example.com/disk",
        "example.com, 10809, '', nbd://example.com/",
        "example.com, 1, /disk, nbd://example.com:1//disk",
        "::1, 10809, a, nbd://[::1]/a",
        "0:0:0:0:0:0:0:0, 5, a, nbd://[::]:5/a",
        "fe80:0:0:0:0:0:0:1%eth0, 5, a, nbd://[fe80::1%25eth0]:5/a",
        "host, 10809, a b?c#d%e, nbd://host/a%20b%3Fc%23d%25e",
        "host, 10809, rbd:pool/image@snap, nbd://host/rbd:pool/image@snap",
        "host, 10809, it's & more, nbd://host/it%27s%20%26%20more",
        "host, 10809, ä, nbd://host/%C3%A4",
    })
    void theTextOfTcpNeedsNoQuotesInAShell(String host, int port, String export, String text) {
        NbdUri uri = NbdUri.tcp(host, port, export);
        assertThat(uri).hasToString(text);
        assertThat(NbdUri.parse(text)).isEqualTo(uri);
    }

    @ParameterizedTest
    @CsvSource({
        "/tmp/a.sock, disk, nbd+unix:///disk?socket=/tmp/a.sock",
        "a&b, '', nbd+unix:///?socket=a%26b",
        "/a b, c/d, nbd+unix:///c/d?socket=/a%20b",
    })
    void theTextOfUnixNamesTheSocket(String socket, String export, String text) {
        assertThat(NbdUri.unix(socket, export)).hasToString(text);
        assertThat(NbdUri.parse(text)).isEqualTo(NbdUri.unix(socket, export));
    }

    @Test
    void anyExportNameIsReadBack() {
        Random random = new Random(2026);
        for (int i = 0; i < 2000; i++) {
            String name = random.ints(random.nextInt(20), 1, 0x2ffff)
                    .filter(point -> point < 0xd800 || point > 0xdfff)
                    .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                    .toString();
            NbdUri tcp = NbdUri.tcp("::1", 1 + random.nextInt(65535), name);
            assertThat(NbdUri.parse(tcp.toString())).isEqualTo(tcp);
            NbdUri unix = NbdUri.unix("/run/" + name, name);
            if (ListenAddress.Unix.fits(unix.socket())) {
                assertThat(NbdUri.parse(unix.toString())).isEqualTo(unix);
            }
        }
    }

    @Test
    void namesAreAtMost4096Bytes() {
        assertThat(NbdUri.parse("nbd://host/" + "a".repeat(4096)).export()).hasSize(4096);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> NbdUri.parse("nbd://host/" + "a".repeat(4097)))
                .withMessageContaining("has 4097 bytes");
    }

    @Test
    void socketPathsAreAtMost107Bytes() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> NbdUri.parse("nbd+unix:///a?socket=" + "a".repeat(108)))
                .withMessageContaining("at most 107 bytes");
    }

    @Test
    void tlsIsPartOfTheUriAndComesBack() {
        NbdUri uri = NbdUri.parse("NBDS://server:1/a?tls-verify-peer=0&tls-certificates=/c%20d&tls-hostname=b");
        assertThat(uri).isEqualTo(new NbdUri("server", 1, null, "a", new TlsPlace("/c d", "b", false)));
        assertThat(uri)
                .asString()
                .startsWith("nbds://server:1/a?tls-certificates=")
                .contains("&tls-hostname=b&");
        assertThat(NbdUri.parse(uri.toString())).isEqualTo(uri);
        NbdUri unix = NbdUri.parse("nbds+unix:///a?tls-hostname=b&socket=/x");
        assertThat(unix).isEqualTo(new NbdUri(null, 0, "/x", "a", new TlsPlace(null, "b", true)));
        assertThat(NbdUri.parse(unix.toString())).isEqualTo(unix);
        assertThat(NbdUri.parse("nbds://server/a").tls()).isEqualTo(TlsPlace.DEFAULT);
        assertThat(NbdUri.parse("nbd://server/a").tls()).isNull();
    }
}

package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** All mistakes of a file are found in one reading, each where it is. */
class BrokenFileTest {
    private static ConfigException server(String text) {
        return catchThrowableOfType(
                ConfigException.class, () -> ServerConfig.parse("server.toml", text, Providers.SOME));
    }

    @Test
    void everyMistakeOfAServersFileIsListedInItsOrder() {
        ConfigException broken = server("""
            timeout = 5
            port = 10809

            [server]
            adress = "::"
            address = ["localhost", "300.1.1.1"]
            port = 99999
            port = 10809
            max_errors = "10"
              max_bytes = "64MB"
            unix = /run/farsight.sock
            loops = 1.5

            [dsik]
            root = "/srv"

            [disk]
            roots = "/srv"

            [net]
            ceph_user = "admin"

            [exports]
            plain = "disk:x"

            [exports.one]
            backend = "dist"

            [exports.two]
            backend = "disk"
            size = "lots"
            sise = 3

            [exports."my disk"]
            backend = "disk"
            path = "x"
            read_only = "true"

            [exports.three]
            path = "x"

            [exports.two]
            create = true

            [zfs]
            """);
        assertThat(broken).hasMessage("""
            server.toml:1:1: unknown key 'timeout' before the first section; known are [server], [exports], [all], \
            [disk], [net]
            server.toml:2:1: unknown key 'port' before the first section; it belongs in [server]
            server.toml:5:1: unknown key 'adress' in [server]; did you mean 'address'?
            server.toml:6:1: [server] address "300.1.1.1" is not an IPv4 address; that is four numbers from 0 to 255
            server.toml:7:1: [server] port is 99999; it must be from 0 to 65535
            server.toml:8:1: 'port' is there twice; first at line 7, column 1: remove one of them
            server.toml:9:1: [server] max_errors must be a whole number, not the string "10"; remove the quotes
            server.toml:10:3: [server] max_bytes: '64MB' could be a power of 1000 or of 1024; write 64MiB for 1024
            server.toml:11:8: not valid TOML: Unexpected '/', expected a value; text needs quotes
            server.toml:12:1: [server] loops must be a whole number, not 1.5
            server.toml:14:1: unknown section [dsik], which is no backend that is installed; did you mean [disk]?
            server.toml:18:1: unknown key 'roots' in [disk]; did you mean 'root'?
            server.toml:20:1: [net] needs ceph_conf = ...: where the cluster is
            server.toml:24:1: [exports] plain must be a section: write [exports.plain] on a line of its own
            server.toml:27:1: no backend is called "dist"; did you mean "disk"?
            server.toml:29:1: [exports.two] needs path = ...: the file
            server.toml:31:1: [exports.two] size: 'lots' is not a size such as 4096, 64K or 512MiB, in whole numbers
            server.toml:32:1: unknown key 'sise' in [exports.two]; did you mean 'size'?
            server.toml:37:1: [exports."my disk"] read_only must be true or false, not the string "true"; remove the \
            quotes
            server.toml:39:1: [exports.three] needs backend = "...": one of all, disk, net
            server.toml:42:1: 'exports.two' is there twice; first at line 29, column 1: remove one of them
            server.toml:45:1: unknown section [zfs], which is no backend that is installed; known are [server], \
            [exports], [all], [disk], [net]\
            """);
        assertThat(broken.problems()).hasSize(22).first().satisfies(problem -> {
            assertThat(problem.file()).isEqualTo("server.toml");
            assertThat(problem.line()).isEqualTo(1);
            assertThat(problem.column()).isEqualTo(1);
        });
    }

    @Test
    void everyMistakeOfAClientsFileIsListedInItsOrder() {
        ConfigException broken = catchThrowableOfType(
                ConfigException.class, () -> ClientConfig.parse("client.toml", """
                    [nbd]
                    fiel = "/dev/nbd0"
                    blocksize = 3000
                    timeout = "1w"
                    connections = 0

                    [sevrer]
                    address = "host"

                    [backend]
                    name = "net"
                    pool = 1
                    imgae = "x"
                    """, Providers.SOME));
        assertThat(broken).hasMessage("""
            client.toml:1:1: the section [server] is missing
            client.toml:2:1: unknown key 'fiel' in [nbd]; did you mean 'file'?
            client.toml:3:1: [nbd] blocksize is 3000; it must be 512, 1024, 2048 or 4096 (the kernel takes powers of \
            two up to a page)
            client.toml:4:1: [nbd] timeout: '1w' is not a time such as 30, 500ms, 5m or 1h, in whole numbers
            client.toml:5:1: [nbd] connections is 0; it must be from 1 to 64
            client.toml:7:1: unknown section [sevrer]; did you mean [server]?
            client.toml:10:1: [backend] needs image = ...: the image
            client.toml:12:1: [backend] pool must be a string, not 1; put it in quotes
            client.toml:13:1: unknown key 'imgae' in [backend]; did you mean 'image'?\
            """);
    }

    @Test
    void aLineThatCannotBeReadIsNotAlsoReportedAsMissing() {
        assertThat(server("[exports.a]\nbackend = 'disk'\npath = unquoted\n"))
                .hasMessage("server.toml:3:8: not valid TOML: Unexpected 'u', expected a value; text needs quotes");
        assertThat(server("[exports.a]\nbackend = disk\npath = 'x'\n"))
                .hasMessage("server.toml:2:11: not valid TOML: Unexpected 'd', expected a value; text needs quotes");
    }

    @Test
    void aBrokenLineOfAnotherSectionExcusesNothing() {
        assertThat(server("[exports.a]\nbackend = 'disk'\n[exports.b]\nbackend = 'disk'\npath = x\n")
                        .problems())
                .extracting(Problem::line, Problem::message)
                .containsExactly(
                        org.assertj.core.groups.Tuple.tuple(1, "[exports.a] needs path = ...: the file"),
                        org.assertj.core.groups.Tuple.tuple(
                                5, "not valid TOML: Unexpected 'x', expected a value; text needs quotes"));
    }

    @Test
    void aSectionWhoseHeadCannotBeReadIsNotAlsoReportedAsMissing() {
        ConfigException broken = catchThrowableOfType(
                ConfigException.class,
                () -> ClientConfig.parse(
                        "c.toml",
                        "[nbd]\nfile = '/dev/nbd0'\n[server]\naddress = 'a'\n[backend name]\n",
                        Providers.SOME));
        assertThat(broken).hasMessage("c.toml:5:10: not valid TOML: Unexpected 'name', expected ]");
    }

    @Test
    void aProblemIsOneLineWhateverTheFileHasInIt() {
        ConfigException broken = server("[server]\n\"a\\nb\\u001b[31m\\u2028\\u202e\" = 1\nport = \"1\\n2\"");
        assertThat(broken.getMessage().split("\\R")).hasSize(2);
        assertThat(broken.getMessage()).doesNotContainPattern("[\\p{Cc}\\p{Cf}&&[^\\n]]");
        assertThat(broken.problems().getFirst().message()).startsWith("unknown key 'a?b?[31m??'");
    }

    @Test
    void longTextOfAFileIsShortenedInMessages() {
        ConfigException broken = server("[server]\nport = '" + "x".repeat(5000) + "'\n" + "y".repeat(5000)
                + " = 1\nmax_bytes = '" + "z".repeat(5000) + "'\n[exports.a]\nbackend = '" + "w".repeat(5000) + "'");
        assertThat(broken.problems())
                .hasSize(4)
                .allSatisfy(problem -> assertThat(problem.message()).hasSizeLessThan(500));
    }

    /** Whatever happens to a file: it is read, or it is refused with a place in it; reading never breaks otherwise. */
    @Test
    void aFileDamagedAnywhereIsReadOrRefusedWithItsProblems() throws IOException {
        String server = """
            [server]
            address = ["127.0.0.1", "::1"]
            unix = "/run/s"
            max_bytes = "1MiB"
            handshake_timeout = 5
            [all]
            strings = ["a"]
            table = { a = "b" }
            [exports."a b"]
            backend = "disk"
            path = "x"
            """;
        String client = """
            [nbd]
            file = "/dev/nbd0"
            timeout = "5m"
            [server]
            address = "::1"
            port = 5
            [backend]
            name = "net"
            pool = "p"
            image = "i"
            """;
        Random random = new Random(2026);
        int refused = 0;
        for (int i = 0; i < 4000; i++) {
            String damaged = damage(i % 2 == 0 ? server : client, random);
            try {
                if (i % 2 == 0) {
                    ServerConfig.parse("f", damaged, Providers.SOME);
                } else {
                    ClientConfig.parse("f", damaged, Providers.SOME);
                }
            } catch (ConfigException e) {
                refused++;
                assertThat(e.problems()).as(damaged).isNotEmpty().allSatisfy(problem -> {
                    assertThat(problem.line()).isBetween(1, damaged.split("\n", -1).length);
                    assertThat(problem.column()).isPositive();
                });
            }
        }
        assertThat(refused).isBetween(1000, 3999);
    }

    private static String damage(String text, Random random) {
        // No comments: a header with garbage and a comment trips an assertion within tomlj 2.2.0, which only tests
        // enable.
        String signs = "[]{}=\"'.,\\\n \0\uFFFFa1-:/";
        StringBuilder damaged = new StringBuilder(text);
        for (int edits = 1 + random.nextInt(3); edits > 0; edits--) {
            int at = random.nextInt(damaged.length());
            switch (random.nextInt(3)) {
                case 0 -> damaged.deleteCharAt(at);
                case 1 -> damaged.insert(at, signs.charAt(random.nextInt(signs.length())));
                default -> damaged.setCharAt(at, signs.charAt(random.nextInt(signs.length())));
            }
        }
        return damaged.toString();
    }
}

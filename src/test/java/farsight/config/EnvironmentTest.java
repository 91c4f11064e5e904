package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import farsight.config.ListenAddress.Tcp;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Variables of the environment come before the keys of the files, with the same types, limits and messages. */
class EnvironmentTest {
    private static final String CLIENT = """
        [nbd]
        file = "/dev/nbd0"
        timeout = 5
        [server]
        address = "host"
        port = 1
        [backend]
        export = "a"
        """;

    private static ClientConfig client(String text, String... variables) throws IOException {
        return ClientConfig.parse("c.toml", text, environment(variables), Providers.SOME);
    }

    private static ServerConfig server(String text, String... variables) throws IOException {
        return ServerConfig.parse("s.toml", text, environment(variables), Providers.SOME);
    }

    private static String refused(String text, String... variables) {
        return catchThrowableOfType(ConfigException.class, () -> server(text, variables))
                .getMessage();
    }

    private static Environment environment(String... variables) {
        Map<String, String> map = new HashMap<>(Map.of("PATH", "/bin", "FARSIGHTED", "x"));
        for (String variable : variables) {
            int equals = variable.indexOf('=');
            map.put(variable.substring(0, equals), variable.substring(equals + 1));
        }
        return Environment.of(map);
    }

    @Test
    void aVariableComesBeforeTheClientsFile() throws IOException {
        ClientConfig config = client(
                CLIENT,
                "FARSIGHT_NBD_FILE=/dev/nbd7",
                "FARSIGHT_NBD_TIMEOUT=90s",
                "FARSIGHT_NBD_CONNECTIONS=4",
                "FARSIGHT_SERVER_ADDRESS=::1",
                "FARSIGHT_SERVER_PORT=2",
                "FARSIGHT_BACKEND_EXPORT=b c");
        assertThat(config.server()).isEqualTo(NbdUri.tcp("::1", 2, "b c"));
        assertThat(config).isEqualTo(client("""
            [nbd]
            file = "/dev/nbd7"
            timeout = 90
            connections = 4
            [server]
            address = "::1"
            port = 2
            [backend]
            export = "b c"
            """));
    }

    @Test
    void aFileNeedNotHaveTheSections() throws IOException {
        assertThat(client(
                        "",
                        "FARSIGHT_NBD_FILE=/dev/nbd0",
                        "FARSIGHT_NBD_TIMEOUT=5",
                        "FARSIGHT_SERVER_ADDRESS=host",
                        "FARSIGHT_SERVER_PORT=1",
                        "FARSIGHT_BACKEND_EXPORT=a"))
                .isEqualTo(client(CLIENT));
    }

    @Test
    void anEmptyVariableTakesAwayWhatTheFileSays() throws IOException {
        assertThat(client(
                                CLIENT,
                                "FARSIGHT_SERVER_ADDRESS=",
                                "FARSIGHT_SERVER_PORT=",
                                "FARSIGHT_SERVER_UNIX=/run/s",
                                "FARSIGHT_BACKEND_EXPORT=",
                                "FARSIGHT_BACKEND_NAME=disk",
                                "FARSIGHT_BACKEND_PATH=x.img")
                        .server())
                .isEqualTo(NbdUri.unix("/run/s", "disk:x.img"));
    }

    @Test
    void everyTypeOfTheServerIsUnderstood() throws IOException {
        ServerConfig config = server(
                "[exports.disk]\nbackend = 'disk'\npath = '/a'\n[exports.'my disk']\nbackend = 'disk'\npath = '/b'\n",
                "FARSIGHT_SERVER_ADDRESS=127.0.0.1, ::1",
                "FARSIGHT_SERVER_MAX_BYTES=3MiB",
                "FARSIGHT_SERVER_HANDSHAKE_TIMEOUT=500ms",
                "FARSIGHT_ALL_STRING=5",
                "FARSIGHT_ALL_INTEGER=-5",
                "FARSIGHT_ALL_BOOLEAN=true",
                "FARSIGHT_ALL_SIZE=1KiB",
                "FARSIGHT_ALL_DURATION=7",
                "FARSIGHT_ALL_STRINGS=[\"a,b\", \"c\"]",
                "FARSIGHT_ALL_TABLE=x = \"1\", y-z = \"2\"",
                "FARSIGHT_EXPORTS_DISK_READ_ONLY=true",
                "FARSIGHT_EXPORTS_MY_DISK_PATH=/c \"d\"\\");
        assertThat(config.listen()).containsExactly(new Tcp("127.0.0.1", 10809), new Tcp("::1", 10809));
        assertThat(config.limits().maxBytes()).isEqualTo(3 << 20);
        assertThat(config.limits().handshakeTimeout()).isEqualTo(Duration.ofMillis(500));
        assertThat(config.backends().get("all").values())
                .isEqualTo(Map.of(
                        "string",
                        "5",
                        "integer",
                        -5L,
                        "boolean",
                        true,
                        "size",
                        1024L,
                        "duration",
                        Duration.ofSeconds(7),
                        "strings",
                        List.of("a,b", "c"),
                        "table",
                        Map.of("x", "1", "y-z", "2")));
        assertThat(config.exports().get("disk").readOnly()).isTrue();
        assertThat(config.exports().get("disk").settings().string("path")).contains("/a");
        assertThat(config.exports().get("my disk").settings().string("path")).contains("/c \"d\"\\");
    }

    @Test
    void whatIsForTheLauncherAndTheTestsIsNotRead() throws IOException {
        assertThat(server(
                        "",
                        "FARSIGHT_REQUIRE_ALL=1",
                        "FARSIGHT_JAVA_HOME=/x",
                        "FARSIGHT_JAVA_OPTS=-x",
                        "FARSIGHT_TEST_COMMAND=1",
                        "FARSIGHT_NBD_KERNEL_CACHE=/x"))
                .isEqualTo(ServerConfig.DEFAULT);
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "FARSIGHT_SERVER_PORT=abc | [server] port must be a whole number, not \"abc\"",
                "FARSIGHT_SERVER_PORT=99999999999999999999 | [server] port must be a whole number, not"
                        + " \"99999999999999999999\"",
                "FARSIGHT_SERVER_PORT=65536 | [server] port is 65536; it must be from 0 to 65535",
                "FARSIGHT_SERVER_POOL=1GB | [server] pool: '1GB' could be a power of 1000 or of 1024; write 1GiB for"
                        + " 1024",
                "FARSIGHT_SERVER_ADDRESS=a b | [server] address \"a b\" ",
                "FARSIGHT_SERVER_ADDRESS=[\"a\" | [server] address: '[\"a\"' is not valid TOML",
                "FARSIGHT_SERVER_ADDRESS=[1] | [server] address must be an array of strings, not \"[1]\"",
                "FARSIGHT_ALL_BOOLEAN=yes | [all] boolean must be true or false, not \"yes\"",
                "FARSIGHT_ALL_TABLE=a = 1 | [all] table must be a table of strings, not \"a = 1\"",
                "FARSIGHT_ALL_TABLE=a | [all] table: '{a}' is not valid TOML",
                "FARSIGHT_SERVER_PROT=1 | no setting has this variable; did you mean FARSIGHT_SERVER_PORT?",
                "FARSIGHT_ALL_INTEGRE=1 | no setting has this variable; did you mean FARSIGHT_ALL_INTEGER?",
                "FARSIGHT_EXPORTS_DISK=1 | no setting has this variable; ",
                "FARSIGHT_EXPORTS_OTHER_PATH=1 | no setting has this variable; ",
                "FARSIGHT_COMPLETELY_DIFFERENT=1 | no setting has this variable; a key of a section has"
                        + " FARSIGHT_SECTION_KEY, such as FARSIGHT_",
            },
            delimiter = '|',
            quoteCharacter = '`')
    void aWrongVariableIsOneLineWithItsName(String variable, String problem) {
        assertThat(refused("[exports.disk]\nbackend = 'disk'\npath = '/a'\n", variable))
                .startsWith(variable.substring(0, variable.indexOf('=')) + ": " + problem)
                .hasLineCount(1);
    }

    @Test
    void aVariableForTwoExportsIsRefused() {
        assertThat(refused("""
            [exports.a-b]
            backend = 'disk'
            path = '/a'
            [exports.a_b]
            backend = 'disk'
            path = '/b'
            """, "FARSIGHT_EXPORTS_A_B_PATH=/c"))
                .isEqualTo("FARSIGHT_EXPORTS_A_B_PATH: may mean [exports.a-b] path or [exports.a_b] path; rename one of"
                        + " them, or write it there");
    }

    @Test
    void mistakesOfBothAreReportedTogether() {
        assertThat(refused("[server]\nprot = 1\n", "FARSIGHT_SERVER_POOL=x", "FARSIGHT_SERVER_LOPS=1"))
                .isEqualTo("""
                    FARSIGHT_SERVER_POOL: [server] pool: 'x' is not a size such as 4096, 64K or 512MiB, in whole numbers
                    FARSIGHT_SERVER_LOPS: no setting has this variable; did you mean FARSIGHT_SERVER_LOOPS?
                    s.toml:2:1: unknown key 'prot' in [server]; did you mean 'port'?\
                    """);
    }

    @Test
    void aSectionThatCouldNotBeReadHidesItsVariables() {
        assertThat(refused("[exports.a]\nbackend = 'dsik'\n", "FARSIGHT_EXPORTS_A_PATH=/a"))
                .isEqualTo("s.toml:2:1: no backend is called \"dsik\"; did you mean \"disk\"?");
    }
}

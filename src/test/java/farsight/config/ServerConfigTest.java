package farsight.config;

import static farsight.config.ListenAddress.Tcp;
import static farsight.config.ListenAddress.Unix;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import farsight.backend.Settings;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ServerConfigTest {
    private static ServerConfig read(String text) throws IOException {
        return ServerConfig.parse("s.toml", text, Providers.SOME);
    }

    private static String refused(String text) {
        return catchThrowableOfType(ConfigException.class, () -> read(text)).getMessage();
    }

    // ---- [server] ------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(strings = {"", "\n", "# nothing\n", "[server]\n", "\uFEFF[server]\n", "[server]\r\n"})
    void everythingHasADefault(String text) throws IOException {
        assertThat(read(text)).isEqualTo(ServerConfig.DEFAULT);
        assertThat(ServerConfig.DEFAULT.listen()).containsExactly(new Tcp("localhost", 10809));
    }

    @Test
    void theSeedsFileIsUnderstood() throws IOException {
        ServerConfig config = ServerConfig.parse("s.toml", """
            [server]
            address = "127.0.0.1"
            port = 10809
            max_errors = 10

            [rbd]
            ceph_conf = "/etc/ceph/ceph.conf"
            ceph_user = "admin"
            """, Providers.map(new Providers.Net("rbd")));
        assertThat(config.listen()).containsExactly(new Tcp("127.0.0.1", 10809));
        assertThat(config.limits().maxErrors()).isEqualTo(10);
        assertThat(config.backends())
                .isEqualTo(
                        Map.of("rbd", new Settings(Map.of("ceph_conf", "/etc/ceph/ceph.conf", "ceph_user", "admin"))));
    }

    @Test
    void allKeysOfTheServer() throws IOException {
        ServerConfig config = read("""
            [server]
            address = ["127.0.0.1", "::1", "storage.example"]
            port = 0
            unix = "/run/farsight.sock"
            max_connections = 1
            max_requests = 2
            max_bytes = "3MiB"
            max_errors = 0
            max_options = 4
            handshake_timeout = "500ms"
            shutdown_timeout = "3s"
            max_connections_per_address = 5
            handshake_bytes = "1MiB"
            idle_timeout = "10m"
            pool = 33554432
            loops = 3
            io = "uring"
            spin = "50us"
            batch = true
            zero_copy = true
            plugin_path = ["/usr/share/farsight", "x.jar"]
            """);
        assertThat(config.listen())
                .containsExactly(
                        new Tcp("127.0.0.1", 0),
                        new Tcp("::1", 0),
                        new Tcp("storage.example", 0),
                        new Unix("/run/farsight.sock"));
        assertThat(config.limits())
                .isEqualTo(new Limits(
                        1,
                        2,
                        3 << 20,
                        0,
                        4,
                        Duration.ofMillis(500),
                        32 << 20,
                        Duration.ofSeconds(3),
                        5,
                        1 << 20,
                        Duration.ofMinutes(10)));
        assertThat(config.loops()).isEqualTo(new Loops(3, Io.URING, Duration.ofNanos(50_000), true, true));
        assertThat(config.pluginPath()).containsExactly(Path.of("/usr/share/farsight"), Path.of("x.jar"));
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "unix = '/s' | unix:/s",
                "unix = ['/s', '/t'] | unix:/s unix:/t",
                "unix = '/s'; port = 1 | localhost:1 unix:/s",
                "unix = '/s'; address = '::' | [::]:10809 unix:/s",
                "address = '0.0.0.0' | 0.0.0.0:10809",
                "address = '::1' | [::1]:10809",
                "address = ['::1', '::1'] | [::1]:10809",
                "port = 65535 | localhost:65535",
            },
            delimiter = '|')
    void itListensWhereItIsToldTo(String keys, String addresses) throws IOException {
        ServerConfig config = read("[server]\n" + keys.replace("; ", "\n"));
        assertThat(config.listen()).map(Object::toString).containsExactly(addresses.split(" "));
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "port = -1 | [server] port is -1; it must be from 0 to 65535",
                "port = 65536 | [server] port is 65536; it must be from 0 to 65535",
                "port = 99999999999 | [server] port is 99999999999; it must be from 0 to 65535",
                "port = '1' | [server] port must be a whole number, not the string \"1\"; remove the quotes",
                "port = 1.0 | [server] port must be a whole number, not 1.0",
                "port = [] | [server] port must be a whole number, not an array",
                "port = {} | [server] port must be a whole number, not a table",
                "port = 1979-05-27 | [server] port must be a whole number, not 1979-05-27",
                "address = 1 | [server] address must be an array of strings, not 1",
                "address = ['a', 1] | [server] address must be an array of strings, not an array with other things",
                "address = [] | [server] address has nothing in it; write \"::\" for every address of this machine",
                "address = '' | [server] address \"\" is empty; write localhost, an address, or \"::\" for every"
                        + " address of a machine",
                "address = '[::1]' | [server] address \"[::1]\" has brackets, which an address alone does not need;"
                        + " remove them",
                "address = 'a:5' | [server] address \"a:5\" has a port in it; write that as port = 5",
                "address = ['::', '127.0.0.1'] | [server] address \"::\" is every address of this machine, IPv4 and"
                        + " IPv6; leave the others out",
                "unix = '' | [server] unix must be a path of 1 to 107 bytes",
                "unix = \"a\\u0000b\" | [server] unix: a NUL (\\u0000) cannot be part of it; remove it",
                "max_connections = 0 | [server] max_connections is 0; it must be from 1 to 1048576",
                "max_requests = 0 | [server] max_requests is 0; it must be from 1 to 65536",
                "max_bytes = 1 | [server] max_bytes is 1; it must be from 1MiB to 1TiB",
                "max_bytes = -1 | [server] max_bytes: -1 is negative",
                "max_bytes = true | [server] max_bytes must be a size such as 4096 or \"512MiB\", not true",
                "max_bytes = '64MB' | [server] max_bytes: '64MB' could be a power of 1000 or of 1024; write 64MiB for"
                        + " 1024",
                "max_errors = -1 | [server] max_errors is -1; it must be from 0 to 2147483647",
                "max_options = 0 | [server] max_options is 0; it must be from 1 to 65536",
                "pool = '1MiB' | [server] pool is 1MiB; it must be from 16MiB to 4TiB",
                "handshake_timeout = 0 | [server] handshake_timeout is 0s; it must be from 1ms to 1h",
                "handshake_timeout = -1 | [server] handshake_timeout: -1 is negative",
                "handshake_timeout = 3601 | [server] handshake_timeout is 3601s; it must be from 1ms to 1h",
                "handshake_timeout = 9223372036854775807 | [server] handshake_timeout is 9223372036854775807s; it must"
                        + " be from 1ms to 1h",
                "shutdown_timeout = 0 | [server] shutdown_timeout is 0s; it must be from 1ms to 1h",
                "handshake_timeout = 'x' | [server] handshake_timeout: 'x' is not a time such as 30, 500ms, 5m or 1h,"
                        + " in whole numbers",
                "io = 'kqueue' | [server] io is \"kqueue\"; it must be \"auto\", \"uring\" or \"epoll\"",
                "spin = '1001ms' | [server] spin is 1001ms; it must be from 0s to 1s",
                "batch = 1 | [server] batch must be true or false, not 1",
                "zero_copy = 1 | [server] zero_copy must be true or false, not 1",
                "loops = 257 | [server] loops is 257; it must be from 0 to 256",
                "plugin_path = [1] | [server] plugin_path must be an array of strings, not an array with other things",
                "colour = 'off' | unknown key 'colour' in [server]; known are unix, address, port, max_connections,"
                    + " max_requests, max_bytes, max_errors, max_options, handshake_timeout, pool, shutdown_timeout,"
                    + " max_connections_per_address, handshake_bytes, idle_timeout, loops, io, spin, batch, zero_copy,"
                    + " plugin_path, tls, tls_certificates, tls_verify_clients, tls_versions, metrics",
                "metrics = '9100' | [server] metrics: address '9100' is not HOST:PORT, [IPV6]:PORT or unix:PATH",
                "metrics = 'unix:/tmp/m' | [server] metrics must be HOST:PORT, such as \"127.0.0.1:9100\"",
                "tls = 'on' | [server] tls is \"on\"; it must be \"off\", \"allow\" or \"require\"",
                "tls = 'allow' | [server] tls needs tls_certificates = \"DIRECTORY\" with server-cert.pem and"
                        + " server-key.pem",
                "tls_verify_clients = true | [server] tls_verify_clients is without effect unless tls is \"require\"",
                "tls_versions = ['1.1'] | [server] tls_versions must be \"1.2\", \"1.3\" or both, as an array",
                "max-errors = 1 | unknown key 'max-errors' in [server]; did you mean 'max_errors'?",
            },
            delimiter = '|',
            quoteCharacter = '`')
    void aWrongValueIsRefusedWithTheReason(String key, String message) {
        assertThat(refused("[server]\n" + key)).isEqualTo("s.toml:2:1: " + message);
    }

    @Test
    void aSocketPathIsMeasuredInBytes() throws IOException {
        assertThat(read("[server]\nunix='" + "a".repeat(107) + "'").listen()).hasSize(1);
        assertThat(refused("[server]\nunix='" + "ä".repeat(54) + "'")).contains("1 to 107 bytes");
    }

    // ---- backends ------------------------------------------------------------------------------------------------

    @Test
    void onlyBackendsWithASectionCanBeReached() throws IOException {
        assertThat(read("[disk]").backends()).isEqualTo(Map.of("disk", Settings.NONE));
        assertThat(read("[exports.a]\nbackend = 'disk'\npath = 'x'").backends()).isEmpty();
    }

    @Test
    void aSettingOfEveryTypeArrivesAsItsJavaType() throws IOException {
        ServerConfig config = read("""
            [all]
            string = "s"
            integer = -5
            boolean = true
            size = "1KiB"
            duration = "2m"
            strings = ["a", "b"]
            table = { k = "v" }
            """);
        Settings settings = config.backends().get("all");
        assertThat(settings.string("string")).contains("s");
        assertThat(settings.number("integer")).hasValue(-5);
        assertThat(settings.flag("boolean")).isTrue();
        assertThat(settings.number("size")).hasValue(1024);
        assertThat(settings.duration("duration")).contains(Duration.ofMinutes(2));
        assertThat(settings.strings("strings")).containsExactly("a", "b");
        assertThat(settings.table("table")).isEqualTo(Map.of("k", "v"));
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "string = 1 | [all] string must be a string, not 1; put it in quotes",
                "string = true | [all] string must be a string, not true; put it in quotes",
                "integer = '7' | [all] integer must be a whole number, not the string \"7\"; remove the quotes",
                "integer = 'x' | [all] integer must be a whole number, not the string \"x\"",
                "boolean = 'false' | [all] boolean must be true or false, not the string \"false\"; remove the quotes",
                "boolean = 0 | [all] boolean must be true or false, not 0",
                "size = 1.5 | [all] size must be a size such as 4096 or \"512MiB\", not 1.5",
                "duration = 1.5 | [all] duration must be a time such as 30 or \"500ms\", not 1.5",
                "strings = 'a' | [all] strings must be an array of strings, not the string \"a\"",
                "table = 'a' | [all] table must be a table of strings, not the string \"a\"",
                "table = { k = 1 } | [all] table must be a table of strings, not a table",
                "string = \"a\\u0000\" | [all] string: a NUL (\\u0000) cannot be part of it; remove it",
                "strings = [\"a\\u0000\"] | [all] strings: a NUL (\\u0000) cannot be part of it; remove it",
                "table = { \"a\\u0000\" = 'x' } | [all] table: a NUL (\\u0000) cannot be part of it; remove it",
            },
            delimiter = '|',
            quoteCharacter = '`')
    void aSettingOfAnotherTypeIsRefused(String key, String message) {
        assertThat(refused("[all]\n" + key)).isEqualTo("s.toml:2:1: " + message);
    }

    @Test
    void aMissingRequiredSettingIsReportedAtTheSection() {
        assertThat(refused("\n [net]\n ceph_user = 'a'"))
                .isEqualTo("s.toml:2:2: [net] needs ceph_conf = ...: where the cluster is");
    }

    @Test
    void aSectionThatNoBackendHasIsRefused() {
        assertThat(refused("[rbd]"))
                .isEqualTo("s.toml:1:1: unknown section [rbd], which is no backend that is installed; known are"
                        + " [server], [exports], [all], [disk], [net]");
        assertThat(refused("[dsik]"))
                .isEqualTo("s.toml:1:1: unknown section [dsik], which is no backend that is installed; did you mean"
                        + " [disk]?");
    }

    @ParameterizedTest
    @ValueSource(strings = {"disk = 1", "disk = 'x'", "[[disk]]", "disk = []"})
    void aBackendsNameMustBeASection(String text) {
        assertThat(refused(text)).isEqualTo("s.toml:1:1: 'disk' must be a section: write [disk] on a line of its own");
    }

    // ---- exports -------------------------------------------------------------------------------------------------

    @Test
    void exportsHaveNamesOfTheirOwn() throws IOException {
        ServerConfig config = read("""
            [exports.a]
            backend = "disk"
            path = "x"

            [exports."b c.d"]
            backend = "disk"
            path = "y"
            size = "1G"
            create = true
            description = "d"
            exact_blocks = true
            """);
        assertThat(config.exports())
                .isEqualTo(Map.of(
                        "a", new ExportConfig("a", "disk", new Settings(Map.of("path", "x")), false, ""),
                        "b c.d",
                                new ExportConfig(
                                        "b c.d",
                                        "disk",
                                        new Settings(Map.of("path", "y", "size", 1L << 30, "create", true)),
                                        false,
                                        "d",
                                        true)));
    }

    @Test
    void inlineAndDottedTablesAreExportsAsWell() throws IOException {
        assertThat(read("exports.a = { backend = 'all' }\nexports.b.backend = 'all'")
                        .exports())
                .containsOnlyKeys("a", "b");
    }

    @Test
    void readOnlyIsTheServersAndTheBackendsIfThatKnowsIt() throws IOException {
        ServerConfig config = read("""
            [exports.a]
            backend = "disk"
            path = "x"
            read_only = true

            [exports.b]
            backend = "all"
            read_only = true
            """);
        assertThat(config.exports().get("a").readOnly()).isTrue();
        assertThat(config.exports().get("a").settings().flag("read_only")).isTrue();
        assertThat(config.exports().get("b").readOnly()).isTrue();
        assertThat(config.exports().get("b").settings()).isEqualTo(Settings.NONE);
    }

    @Test
    void aBackendThatNeedsSettingsOfTheServerNeedsItsSection() throws IOException {
        String export = "[exports.a]\nbackend = 'net'\npool = 'p'\nimage = 'i'\n";
        assertThat(refused(export))
                .isEqualTo(
                        "s.toml:2:1: [exports.a] needs the section [net] with ceph_conf = ...: where the cluster is");
        assertThat(read(export + "[net]\nceph_conf = 'c'").exports()).containsOnlyKeys("a");
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "[exports.a] | 1:1: [exports.a] needs backend = \"...\": one of all, disk, net",
                "[exports.a]; backend = 1 | 2:1: [exports.a] backend must be a string, not 1; put it in quotes",
                "[exports.a]; backend = 'disc' | 2:1: no backend is called \"disc\"; did you mean \"disk\"?",
                "[exports.a]; backend = 'zfs' | 2:1: no backend is called \"zfs\"; there are all, disk, net",
                "[exports.a]; backend = 'disk' | 1:1: [exports.a] needs path = ...: the file",
                "[exports.a]; backend = 'all'; path = 'x' | 3:1: unknown key 'path' in [exports.a]; known are backend,"
                    + " description, read_only, exact_blocks, tls, allow, users, groups, allow_clients, read_only_for,"
                    + " rate_bytes, rate_iops, layers",
                "[exports.a]; backend = 'all'; tls = 'on' | 3:1: [exports.a] tls must be \"require\", or be left out"
                        + " for what [server] says",
                "[exports.a]; backend = 'all'; tls = 'require' | 3:1: [exports.a] tls needs tls = \"allow\" or"
                        + " \"require\" in [server]",
                "[exports.a]; backend = 'all'; allow = [] | 3:1: [exports.a] allow has nothing in it, so that nobody"
                        + " could open the export",
                "[exports.a]; backend = 'all'; allow = ['10.0.0.1/8'] | 3:1: [exports.a] allow: \"10.0.0.1/8\" has bits"
                        + " set beyond the first 8; is that the network?",
                "[exports.a]; backend = 'all'; allow = ['::/129'] | 3:1: [exports.a] allow: \"::/129\" must have from 0"
                        + " to 128 after the slash",
                "[exports.a]; backend = 'all'; allow = ['host'] | 3:1: [exports.a] allow: \"host\" is not an address or"
                        + " a network such as 10.0.0.0/8 or fd00::/8",
                "[exports.a]; backend = 'all'; users = ['nobody-at-all'] | 3:1: [exports.a] users: no user is called"
                        + " \"nobody-at-all\" in /etc/passwd; write the number of one that is elsewhere",
                "[exports.a]; backend = 'all'; groups = [] | 3:1: [exports.a] groups has nothing in it, so that nobody"
                        + " could open the export",
                "[exports.a]; backend = 'all'; allow_clients = ['CN:a'] | 3:1: [exports.a] allow_clients needs"
                        + " tls_verify_clients = true in [server]",
                "[exports.a]; backend = 'all'; read_only_for = ['CN:guest*'] | 3:1: [exports.a] read_only_for names"
                        + " certificates, which needs tls = \"require\" here or in [server], and tls_verify_clients ="
                        + " true there",
                "[exports.a]; backend = 'all'; read_only_for = ['bob'] | 3:1: [exports.a] read_only_for: \"bob\" is no"
                        + " network such as 10.0.0.0/8, and does not begin with user:, group:, subject:, CN:, O:, OU:,"
                        + " DNS:, IP:, URI:, EMAIL:",
                "[exports.a]; backend = 'all'; rate_bytes = 1 | 3:1: [exports.a] rate_bytes is 1; it must be from 4KiB"
                        + " to 1PiB",
                "[exports.a]; backend = 'all'; rate_iops = 0 | 3:1: [exports.a] rate_iops is 0; it must be from 1 to"
                        + " 1073741824",
                "[exports.a]; backend = 'all'; rate_ops = 5 | 3:1: unknown key 'rate_ops' in [exports.a]; did you mean"
                        + " 'rate_iops'?",
                "[exports.a]; backend = 'all'; layers = 'rate' | 3:1: [exports.a] layers must be an array of tables:"
                        + " layers = [{ ... }]",
                "[exports.a]; backend = 'all'; layers = [{ layer = 'rat' }] | 3:13: no layer is called \"rat\"; did you"
                        + " mean \"rate\"?",
                "[exports.a]; backend = 'all'; layers = [{ layer = 'rate', iop = 5 }] | 3:29: unknown key 'iop' in"
                        + " [exports.a.layers#1]; did you mean 'iops'?",
                "[exports.a]; backend = 'all'; layers = [{ layer = 'rate', iops = 'x' }] | 3:29: [exports.a.layers#1]"
                        + " iops must be a whole number, not the string \"x\"",
                "[exports.a]; backend = 'all'; layers = [{ layer = 'overlay' }] | 3:11: [exports.a.layers#1] needs path"
                        + " = ...: the file for what is written; made if there is none",
                "[exports.a]; backend = 'all'; readonly = true | 3:1: unknown key 'readonly' in [exports.a]; did you"
                        + " mean 'read_only'?",
                "[exports.a]; backend = 'all'; [exports.a.b] | 3:1: unknown section [exports.a.b]; known are backend,"
                    + " description, read_only, exact_blocks, tls, allow, users, groups, allow_clients, read_only_for,"
                    + " rate_bytes, rate_iops, layers",
                "[exports.a]; backend = 'all'; read_only = 1 | 3:1: [exports.a] read_only must be true or false, not 1",
                "[exports]; a = 'disk:x' | 2:1: [exports] a must be a section: write [exports.a] on a line of its own",
                "[exports]; 'a b' = 1 | 2:1: [exports] \"a b\" must be a section: write [exports.\"a b\"] on a line of"
                        + " its own",
                "[[exports]]; backend = 'all' | 1:1: 'exports' must be a section: write [exports] on a line of its own",
                "[exports.'']; backend = 'all' | 1:1: an export needs a name, such as [exports.disk]",
                "[exports.\"a\\u0000\"]; backend = 'all' | 1:1: the name of this export has a NUL in it; remove it",
            },
            delimiter = '|',
            quoteCharacter = '`')
    void aWrongExportIsRefusedWithTheReason(String lines, String problem) {
        assertThat(refused(lines.replace("; ", "\n"))).isEqualTo("s.toml:" + problem);
    }

    @Test
    void namesAndDescriptionsHaveAtMost4096Bytes() throws IOException {
        String most = "ä".repeat(2048);
        assertThat(read("[exports.'" + most + "']\nbackend = 'all'\ndescription = '" + most + "'")
                        .exports())
                .containsOnlyKeys(most);
        assertThat(refused("[exports.'" + most + "a']\nbackend = 'all'"))
                .isEqualTo("s.toml:1:1: the name of this export has 4097 bytes; shorten it to 4096 or less");
        assertThat(refused("[exports.a]\nbackend = 'all'\ndescription = '" + most + "a'"))
                .isEqualTo("s.toml:3:1: [exports.a] description has 4097 bytes; shorten it to 4096 or less");
    }

    // ---- the record ----------------------------------------------------------------------------------------------

    @Test
    void aPartIsReplacedAndTheRestStays() {
        List<ListenAddress> listen = List.of(new Unix("/s"));
        Limits limits = Limits.DEFAULT.withMaxErrors(1);
        Map<String, ExportConfig> exports = Map.of("a", new ExportConfig("a", "b", Settings.NONE, true, ""));
        assertThat(ServerConfig.DEFAULT.withListen(listen).withLimits(limits).withExports(exports))
                .isEqualTo(new ServerConfig(listen, limits, Loops.DEFAULT, Map.of(), exports, List.of()))
                .isEqualTo(new ServerConfig(listen, limits, Loops.DEFAULT, Map.of(), exports));
    }
}

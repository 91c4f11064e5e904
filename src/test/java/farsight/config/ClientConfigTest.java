package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ClientConfigTest {
    private static ClientConfig read(String text) throws IOException {
        return ClientConfig.parse("c.toml", text, Providers.SOME);
    }

    private static String refused(String text) {
        return catchThrowableOfType(ConfigException.class, () -> read(text)).getMessage();
    }

    /** A whole file whose lines 2, 4 and 6 are those given; a semicolon separates keys, which shifts what follows. */
    private static String file(String nbd, String server, String backend) {
        return "[nbd]\n%s\n[server]\n%s\n[backend]\n%s\n"
                .formatted(nbd, server, backend)
                .replace("; ", "\n");
    }

    private static String nbd(String keys) {
        return file(keys, "address = 'host'", "export = 'a'");
    }

    private static String server(String keys) {
        return file("file = '/dev/nbd0'", keys, "export = 'a'");
    }

    private static String backend(String keys) {
        return file("file = '/dev/nbd0'", "address = 'host'", keys);
    }

    @Test
    void theSeedsFileIsUnderstood() throws IOException {
        ClientConfig config = ClientConfig.parse("c.toml", """
            [nbd]
            file = "/dev/nbd0"
            blocksize = 4096

            [server]
            address = "127.0.0.1"
            port = 10809

            [backend]
            name = "rbd"
            pool = "rbd"
            image = "disk"
            """, Providers.map(new Providers.Net("rbd")));
        assertThat(config)
                .isEqualTo(new ClientConfig(
                        device("/dev/nbd0", DeviceConfig.Attach.AUTO, 4096, 0, 0, 300, 300, false, false, 30),
                        NbdUri.tcp("127.0.0.1", 10809, "rbd:rbd/disk")));
        assertThat(config.exportName()).isEqualTo("rbd:rbd/disk");
    }

    private static DeviceConfig device(
            String file,
            DeviceConfig.Attach attach,
            int blockSize,
            int connections,
            int timeout,
            int deadTimeout,
            int reconnect,
            boolean readOnly,
            boolean swap,
            int resizePoll) {
        return new DeviceConfig(
                file,
                attach,
                blockSize,
                connections,
                Duration.ofSeconds(timeout),
                Duration.ofSeconds(deadTimeout),
                Duration.ofSeconds(reconnect),
                readOnly,
                swap,
                Duration.ofSeconds(resizePoll));
    }

    @Test
    void whatIsLeftOutHasADefault() throws IOException {
        assertThat(read(nbd("#")))
                .isEqualTo(new ClientConfig(
                        device(null, DeviceConfig.Attach.AUTO, 0, 0, 0, 300, 300, false, false, 30),
                        NbdUri.tcp("host", 10809, "a")));
        assertThat(read(nbd("#")).device()).isEqualTo(DeviceConfig.DEFAULT);
        assertThat(read(nbd("file = '/dev/nbd7'")).device()).isEqualTo(DeviceConfig.DEFAULT.withFile("/dev/nbd7"));
    }

    @Test
    void allKeysOfTheDevice() throws IOException {
        assertThat(read(nbd("file = '/dev/nbd1'; attach = 'netlink'; blocksize = 512; connections = 4; timeout = '90s';"
                                + " dead_timeout = 20; reconnect = '1h'; read_only = true; swap = true; resize_poll ="
                                + " '2s'"))
                        .device())
                .isEqualTo(device("/dev/nbd1", DeviceConfig.Attach.NETLINK, 512, 4, 90, 20, 3600, true, true, 2));
    }

    @Test
    void theQueueIsAsTheKernelNamesIt() throws IOException {
        assertThat(read(nbd("queue = { read_ahead_kb = '4096', scheduler = 'none' }"))
                        .device()
                        .queue())
                .isEqualTo(Map.of("read_ahead_kb", "4096", "scheduler", "none"));
    }

    @Test
    void requestsWaitAsLongAsTheServerIsWaitedFor() throws IOException {
        assertThat(read(nbd("reconnect = '1h'")).device().deadTimeout()).isEqualTo(Duration.ofHours(1));
        assertThat(read(nbd("reconnect = 0")).device().deadTimeout()).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {512, 1024, 2048, 4096})
    void blocksArePowersOfTwoUpToAPage(int size) throws IOException {
        assertThat(read(nbd("file = '/dev/nbd0'; blocksize = " + size)).device().blockSize())
                .isEqualTo(size);
    }

    @ParameterizedTest
    @ValueSource(longs = {-512, 0, 1, 256, 511, 513, 1536, 8192, 65536, 4294967808L})
    void otherBlockSizesAreRefused(long size) {
        assertThat(refused(nbd("blocksize = " + size + "; file = '/dev/nbd0'")))
                .isEqualTo("c.toml:2:1: [nbd] blocksize is " + size + "; it must be 512, 1024, 2048 or 4096 (the kernel"
                        + " takes powers of two up to a page)");
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "attach = 'ioctl' | 1:1: [nbd] needs file = \"/dev/nbd0\" (or another of the kernel's nbd devices) with"
                        + " attach = \"ioctl\"; only netlink finds a free one",
                "attach = 'Netlink' | 2:1: [nbd] attach is \"Netlink\"; it must be \"auto\", \"netlink\" or"
                        + " \"ioctl\"",
                "reconnect = '25h' | 2:1: [nbd] reconnect is 25h; it must be from 0s to 24h",
                "dead_timeout = 'x' | 2:1: [nbd] dead_timeout: 'x' is not a time such as 30, 500ms, 5m or 1h, in whole"
                        + " numbers",
                "queue = { '../ro' = '1' } | 2:1: [nbd] queue: \"../ro\" is not the name of a setting; they are the"
                        + " files of /sys/block/nbd0/queue",
                "resize_poll = -1 | 2:1: [nbd] resize_poll: -1 is negative",
                "swap = 1 | 2:1: [nbd] swap must be true or false, not 1",
                "read_only = 'true' | 2:1: [nbd] read_only must be true or false, not the string \"true\"; remove the"
                        + " quotes",
                "file = 'nbd0' | 2:1: [nbd] file \"nbd0\" is not the path of a device; write it like /dev/nbd0",
                "file = '' | 2:1: [nbd] file \"\" is not the path of a device; write it like /dev/nbd0",
                "file = 0 | 2:1: [nbd] file must be a string, not 0; put it in quotes",
                "timeout = -1; file = '/dev/nbd0' | 2:1: [nbd] timeout: -1 is negative",
                "timeout = '25h'; file = '/dev/nbd0' | 2:1: [nbd] timeout is 25h; it must be from 0s to 24h",
                "connections = 0; file = '/dev/nbd0' | 2:1: [nbd] connections is 0; it must be from 1 to 64",
                "blocksize = '512'; file = '/dev/nbd0' | 2:1: [nbd] blocksize must be a whole number, not the string"
                        + " \"512\"; remove the quotes",
                "block_size = 512; file = '/dev/nbd0' | 2:1: unknown key 'block_size' in [nbd]; did you mean"
                        + " 'blocksize'?",
                "address = 'host'; file = '/dev/nbd0' | 2:1: unknown key 'address' in [nbd]; it belongs in [server]",
            },
            delimiter = '|',
            quoteCharacter = '`')
    void aWrongDeviceIsRefusedWithTheReason(String keys, String problem) {
        assertThat(refused(nbd(keys))).isEqualTo("c.toml:" + problem);
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "address = 'host' | nbd://host/a",
                "address = 'host'; port = 1 | nbd://host:1/a",
                "address = '::1' | nbd://[::1]/a",
                "unix = '/s' | nbd+unix:///a?socket=/s",
                "unix = '/s'; tls = 'off' | nbd+unix:///a?socket=/s",
                "address = 'host'; tls = 'require' | nbds://host/a",
                "address = 'host'; tls = 'require'; tls_certificates = '/c'; tls_hostname = 'h'; tls_verify_peer ="
                        + " false | nbds://host/a?tls-certificates=/c&tls-hostname=h&tls-verify-peer=false",
                "unix = '/s'; tls = 'require' | nbds+unix:///a?socket=/s",
            },
            delimiter = '|')
    void theServerIsAnAddressOrASocket(String keys, String uri) throws IOException {
        assertThat(read(server(keys)).server()).hasToString(uri);
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "port = 1 | 3:1: [server] needs address = \"...\" (or unix = \"/path\")",
                "address = 'a'; port = 0 | 5:1: [server] port is 0; it must be from 1 to 65535",
                "address = ['a'] | 4:1: [server] address must be a string, not an array",
                "address = 'nbd://a' | 4:1: [server] address \"nbd://a\" is not an IPv6 address",
                "unix = '/s'; address = 'a' | 4:1: [server] has a TCP address or port and unix; leave one out",
                "unix = '/s'; port = 1 | 4:1: [server] has a TCP address or port and unix; leave one out",
                "unix = '' | 4:1: [server] unix must be a path of 1 to 107 bytes",
                "address = 'a'; max_errors = 1 | 5:1: unknown key 'max_errors' in [server]; known are unix, address,"
                        + " port, tls, tls_certificates, tls_hostname, tls_verify_peer",
                "address = 'a'; tls = 'allow' | 5:1: [server] tls is \"allow\"; for a client it must be \"off\" or"
                        + " \"require\"",
                "address = 'a'; tls_hostname = 'h' | 5:1: [server] tls_hostname goes with tls = \"require\"",
                "address = 'a'; tls = 'require'; tls_certificates = '' | 6:1: [server] tls_certificates must be a"
                        + " directory",
            },
            delimiter = '|',
            quoteCharacter = '`')
    void aWrongServerIsRefusedWithTheReason(String keys, String problem) {
        assertThat(refused(server(keys))).isEqualTo("c.toml:" + problem);
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "name = 'net'; pool = 'p'; image = 'i' | net:p/i",
                "name = 'disk'; path = 'x/y' | disk:x/y",
                "name = 'disk'; path = 'x'; create = false | disk:x",
                "name = 'disk'; path = 'x'; label = '' | disk:x",
                "name = 'all' | all:",
                "export = 'a b' | a b",
                "export = 'net:p/i' | net:p/i",
            },
            delimiter = '|')
    void theBackendBecomesAnExportName(String keys, String export) throws IOException {
        assertThat(read(backend(keys)).exportName()).isEqualTo(export);
    }

    @Test
    void theEmptyNameAsksForTheDefaultExport() throws IOException {
        assertThat(read(backend("export = ''")).exportName()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "# | 5:1: [backend] needs name = \"...\" (a backend) or export = \"...\" (a name of the server's)",
                "name = 'nte' | 6:1: no backend is called \"nte\"; did you mean \"net\"?",
                "name = 'zfs'; pool = 'x' | 6:1: no backend is called \"zfs\"; there are all, disk, net",
                "name = 'net'; pool = 'p' | 5:1: [backend] needs image = ...: the image",
                "name = 'net'; pool = 'p'; image = 'i'; imgae = 'j' | 9:1: unknown key 'imgae' in [backend]; did you"
                        + " mean 'image'?",
                "name = 'net'; pool = 'p/q'; image = 'i' | 6:1: [backend]: a pool's name has no slash",
                "name = 'disk'; path = '' | 6:1: [backend]: 'disk:' needs a path",
                "export = 'a'; name = 'disk' | 6:1: [backend] has both name (a backend) and export (a name of the"
                        + " server's); leave one out",
                "export = 'a'; path = 'x' | 7:1: unknown key 'path' in [backend]; known are read_only, export,"
                        + " name",
                "export = \"a\\u0000\" | 6:1: [backend] export: a NUL (\\u0000) cannot be part of it; remove it",
            },
            delimiter = '|',
            quoteCharacter = '`')
    void aWrongBackendIsRefusedWithTheReason(String keys, String problem) {
        assertThat(refused(backend(keys))).isEqualTo("c.toml:" + problem);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "name = 'disk'; path = 'x'; read_only = true",
                "name = 'net'; pool = 'p'; image = 'i'; read_only = true",
                "export = 'x'; read_only = true"
            })
    void aBackendThatIsReadOnlyMakesTheDeviceSo(String keys) throws IOException {
        assertThat(read(backend(keys)).device().readOnly()).isTrue();
        String writable = keys.replace("true", "false");
        assertThat(read(backend(writable)).device().readOnly()).isFalse();
        assertThat(read(backend(keys)).exportName())
                .isEqualTo(read(backend(writable)).exportName());
        assertThat(refused(backend(keys.replace("true", "1"))))
                .endsWith("[backend] read_only must be true or false, not 1");
    }

    @Test
    void whatAnExportNameCannotCarryIsRefusedInsteadOfForgotten() {
        assertThat(refused(backend("name = 'disk'; path = 'x'; size = '1G'; create = true")))
                .isEqualTo("""
                    c.toml:8:1: [backend] size cannot be part of an export name; set it on the server, in an \
                    [exports.NAME] with this backend, and write export = "NAME" here
                    c.toml:9:1: [backend] create cannot be part of an export name; set it on the server, in an \
                    [exports.NAME] with this backend, and write export = "NAME" here\
                    """);
    }

    @Test
    void anExportNameHasAtMost4096Bytes() throws IOException {
        assertThat(read(backend("export = '" + "a".repeat(4096) + "'")).exportName())
                .hasSize(4096);
        assertThat(refused(backend("export = '" + "a".repeat(4097) + "'")))
                .isEqualTo("c.toml:6:1: [backend]: the export's name has 4097 bytes; shorten it to 4096 or less");
        assertThat(refused(backend("name = 'disk'; path = '" + "a".repeat(4092) + "'")))
                .isEqualTo("c.toml:6:1: [backend]: the export's name has 4097 bytes; shorten it to 4096 or less");
    }

    @Test
    void whatIsSwappedToIsNotReachedOverTls() {
        assertThat(refused(file("swap = true", "address = 'host'; tls = 'require'", "export = 'a'")))
                .startsWith("c.toml:2:1: [nbd] swap does not go with TLS");
    }

    @Test
    void allSectionsHaveToBeThere() {
        assertThat(refused("")).isEqualTo("""
            c.toml:1:1: the section [nbd] is missing
            c.toml:1:1: the section [server] is missing
            c.toml:1:1: the section [backend] is missing\
            """);
    }

    @Test
    void aServersFileIsNoClientsFile() {
        assertThat(refused("[server]\naddress = 'a'\n[exports.a]\nbackend = 'all'"))
                .isEqualTo("""
                    c.toml:1:1: the section [nbd] is missing
                    c.toml:1:1: the section [backend] is missing
                    c.toml:3:1: unknown section [exports]; known are [nbd], [server], [backend]\
                    """);
    }
}

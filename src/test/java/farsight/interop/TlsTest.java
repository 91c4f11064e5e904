package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.Settings;
import farsight.backend.memory.MemoryProvider;
import farsight.config.ExportConfig;
import farsight.config.Io;
import farsight.config.Limits;
import farsight.config.ListenAddress;
import farsight.config.Loops;
import farsight.config.ServerConfig;
import farsight.config.TlsConfig;
import farsight.server.Server;
import farsight.tools.Commands;
import farsight.tools.Requires;
import farsight.tools.TestAuthority;
import farsight.tools.WireClient;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Clients of others against this server over TLS: who gets in, and who does not. */
class TlsTest {
    private static final long SIZE = 16 << 20;
    private static final Instant TOMORROW = Instant.now().plus(Duration.ofDays(1));
    private static final Instant YESTERDAY = Instant.now().minus(Duration.ofDays(1));
    private static final TestAuthority AUTHORITY = new TestAuthority("the authority");
    private static final TestAuthority STRANGER = new TestAuthority("another authority");

    private static final Duration LIMIT = Duration.ofSeconds(20);

    private static final int LIST = 3;
    private static final int STARTTLS = 5;
    private static final int ERR_POLICY = (1 << 31) + 2;
    private static final int ERR_INVALID = (1 << 31) + 3;
    private static final int ERR_TLS_REQD = (1 << 31) + 5;

    @TempDir
    private Path directory;

    private Path serverDirectory() throws IOException {
        Path own = AUTHORITY.trustedIn(directory.resolve("server"));
        return AUTHORITY.issue(own, "server", "server", TOMORROW, "localhost", "127.0.0.1");
    }

    /** @param certificate none, good, stranger or expired */
    private Path clientDirectory(String certificate) throws IOException {
        Path own = AUTHORITY.trustedIn(directory.resolve("client-" + certificate));
        return switch (certificate) {
            case "none" -> own;
            case "stranger" -> STRANGER.issue(own, "client", "client", TOMORROW);
            case "expired" -> AUTHORITY.issue(own, "client", "client", YESTERDAY);
            default -> AUTHORITY.issue(own, "client", "client", TOMORROW);
        };
    }

    private Server serve(TlsConfig tls) throws IOException {
        Settings settings = new Settings(Map.of("size", SIZE));
        ServerConfig config = new ServerConfig(
                List.of(new ListenAddress.Tcp("127.0.0.1", 0)),
                Limits.DEFAULT,
                Loops.DEFAULT,
                Map.of(),
                Map.of("disk", new ExportConfig("disk", "memory", settings, false, "")),
                List.of(),
                tls);
        return Server.start(config, Map.of("memory", new MemoryProvider()));
    }

    private Server serve(TlsConfig.Mode mode, boolean verify) throws IOException {
        return serve(new TlsConfig(mode, serverDirectory(), verify, TlsConfig.VERSIONS));
    }

    private static int port(Server server) {
        return server.uris().getFirst().port();
    }

    private static String uri(Server server, Path certificates) {
        String authority = "localhost:" + port(server) + "/disk";
        return certificates == null
                ? "nbd://" + authority
                : "nbds://" + authority + "?tls-certificates=" + certificates;
    }

    private static Commands.Result info(String uri) {
        Requires.tool("nbdinfo", "libnbd-bin");
        return Commands.command("nbdinfo", "--size", uri).run();
    }

    @ParameterizedTest
    @CsvSource({
        "OFF, false, plain, true",
        "OFF, false, none, false",
        "OFF, false, good, false",
        "ALLOW, false, plain, true",
        "ALLOW, false, none, true",
        "ALLOW, false, good, true",
        "ALLOW, false, stranger, true",
        "ALLOW, true, plain, true",
        "ALLOW, true, none, false",
        "ALLOW, true, good, true",
        "ALLOW, true, stranger, false",
        "ALLOW, true, expired, false",
        "REQUIRE, false, plain, false",
        "REQUIRE, false, none, true",
        "REQUIRE, false, good, true",
        "REQUIRE, false, expired, true",
        "REQUIRE, false, stranger, true",
        "REQUIRE, true, plain, false",
        "REQUIRE, true, none, false",
        "REQUIRE, true, good, true",
        "REQUIRE, true, stranger, false",
        "REQUIRE, true, expired, false",
    })
    void nbdinfoGetsInOrNot(TlsConfig.Mode mode, boolean verify, String client, boolean in) throws IOException {
        try (Server server = serve(mode, verify)) {
            Path certificates = client.equals("plain") ? null : clientDirectory(client);
            Commands.Result result = info(uri(server, certificates));
            if (in) {
                assertThat(result.expectSuccess().stdout()).isEqualToIgnoringNewLines(Long.toString(SIZE));
            } else {
                assertThat(result.exit()).isNotZero();
                assertThat(result.stdout()).isEmpty();
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "OFF, plain, true",
        "OFF, good, false",
        "ALLOW, plain, true",
        "ALLOW, good, true",
        "ALLOW, stranger, false",
        "REQUIRE, plain, false",
        "REQUIRE, none, false",
        "REQUIRE, good, true",
        "REQUIRE, stranger, false",
        "REQUIRE, expired, false",
    })
    void qemuGetsInOrNotWhereClientsAreVerified(TlsConfig.Mode mode, String client, boolean in) throws IOException {
        Requires.tool("qemu-img", "qemu-utils");
        try (Server server = mode == TlsConfig.Mode.OFF ? serve(TlsConfig.OFF) : serve(mode, true)) {
            String place = "driver=nbd,host=localhost,export=disk,port=" + port(server);
            Commands.Result result = client.equals("plain")
                    ? Commands.command("qemu-img", "info", "--image-opts", place)
                            .run()
                    : Commands.command(
                                    "qemu-img",
                                    "info",
                                    "--object",
                                    "tls-creds-x509,id=t,endpoint=client,verify-peer=on,sanity-check=off,dir="
                                            + clientDirectory(client),
                                    "--image-opts",
                                    place + ",tls-creds=t")
                            .run();
            assertThat(result.exit()).as(result.stderr()).isEqualTo(in ? 0 : 1);
        }
    }

    @Test
    void anOlderVersionThanIsSpokenIsNotAgreedTo() throws IOException {
        TlsConfig tls = new TlsConfig(TlsConfig.Mode.REQUIRE, serverDirectory(), false, List.of("1.3"));
        try (Server server = serve(tls)) {
            try (TlsWire older = new TlsWire(port(server))) {
                assertThat(older.plain().answer(STARTTLS)).isEqualTo(1);
                assertThatThrownBy(() -> older.handshake("TLSv1.2")).isInstanceOf(IOException.class);
            }
            try (TlsWire newer = new TlsWire(port(server))) {
                assertThat(newer.plain().answer(STARTTLS)).isEqualTo(1);
                newer.handshake("TLSv1.3");
                newer.sendOption(LIST);
                assertThat(newer.reply().option()).isEqualTo(LIST);
            }
        }
    }

    @Test
    void clientsNoticeAServerThatIsNotTheOneTheyWant() throws IOException {
        Path elsewhere = AUTHORITY.trustedIn(directory.resolve("elsewhere"));
        AUTHORITY.issue(elsewhere, "server", "server", TOMORROW, "somewhere.example");
        try (Server server = serve(new TlsConfig(TlsConfig.Mode.REQUIRE, elsewhere, false, TlsConfig.VERSIONS))) {
            assertThat(info(uri(server, clientDirectory("none"))).exit()).isNotZero();
        }
        Path old = AUTHORITY.trustedIn(directory.resolve("old"));
        AUTHORITY.issue(old, "server", "server", YESTERDAY, "localhost");
        try (Server server = serve(new TlsConfig(TlsConfig.Mode.REQUIRE, old, false, TlsConfig.VERSIONS))) {
            assertThat(info(uri(server, clientDirectory("none"))).exit()).isNotZero();
        }
        Path unknown = STRANGER.issue(STRANGER.trustedIn(directory.resolve("x")), "server", "s", TOMORROW, "localhost");
        try (Server server = serve(new TlsConfig(TlsConfig.Mode.REQUIRE, unknown, false, TlsConfig.VERSIONS))) {
            assertThat(info(uri(server, clientDirectory("none"))).exit()).isNotZero();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"1.2", "1.3"})
    void nbdcopyAndQemuCopyThereAndBack(String version) throws IOException {
        Requires.tool("nbdcopy", "libnbd-bin");
        Requires.tool("qemu-img", "qemu-utils");
        byte[] content = new byte[(int) SIZE];
        new Random(1).nextBytes(content);
        Path original = Files.write(directory.resolve("original"), content);
        Path certificates = clientDirectory("good");
        TlsConfig tls = new TlsConfig(TlsConfig.Mode.REQUIRE, serverDirectory(), true, List.of(version));
        try (Server server = serve(tls)) {
            String uri = uri(server, certificates);
            Commands.command("nbdcopy", original.toString(), uri).run().expectSuccess();
            Path back = directory.resolve("back");
            Commands.command("nbdcopy", uri, back.toString()).run().expectSuccess();
            assertThat(back).hasBinaryContent(content);
            Path qemus = directory.resolve("qemus");
            Commands.command(
                            "qemu-img",
                            "convert",
                            "--object",
                            "tls-creds-x509,id=t,endpoint=client,verify-peer=on,dir=" + certificates,
                            "--image-opts",
                            "driver=nbd,host=localhost,tls-creds=t,export=disk,port=" + port(server),
                            "-O",
                            "raw",
                            qemus.toString())
                    .run()
                    .expectSuccess();
            assertThat(qemus).hasBinaryContent(content);
        }
    }

    // ---- from loop to loop ---------------------------------------------------------------------------------------

    /** Whom the loop that accepts had to take, as somebody was still on the other one, moves there with all it sent. */
    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void clientsMoveToAnEmptyLoop(Io io) throws IOException {
        int writes = 12;
        int block = 4096;
        byte[] content = new byte[writes * block];
        new Random(2).nextBytes(content);
        ServerConfig config = new ServerConfig(
                List.of(new ListenAddress.Tcp("127.0.0.1", 0)),
                Limits.DEFAULT,
                new Loops(2, io, Duration.ZERO, false, false),
                Map.of(),
                Map.of("disk", new ExportConfig("disk", "memory", new Settings(Map.of("size", SIZE)), false, "")),
                List.of(),
                new TlsConfig(TlsConfig.Mode.REQUIRE, serverDirectory(), false, TlsConfig.VERSIONS),
                Optional.of(new ListenAddress.Tcp("127.0.0.1", 0)));
        try (Server server = Server.start(config, Map.of("memory", new MemoryProvider()))) {
            for (int round = 1; round <= 10; round++) {
                WireClient first = WireClient.tcp(port(server));
                try (TlsWire client = new TlsWire(port(server))) {
                    first.close();
                    awaitConnections(server, 1);
                    assertThat(client.plain().answer(STARTTLS)).isEqualTo(1);
                    client.handshake();
                    client.send(ahead(content, block));
                    TlsWire.Reply reply;
                    do {
                        reply = client.reply();
                    } while (reply.type() == 3);
                    assertThat(reply.type()).isEqualTo(1);
                    for (int i = 0; i < writes; i++) {
                        ByteBuffer answer = ByteBuffer.wrap(client.receive(16));
                        assertThat(answer.getInt()).isEqualTo(0x67446698);
                        assertThat(answer.getInt()).isZero();
                    }
                    client.send(request(0, 0, content.length));
                    client.receive(16);
                    assertThat(client.receive(content.length)).isEqualTo(content);
                    assertThat(requests(server, 1)).isEqualTo((writes + 1) * round);
                    assertThat(requests(server, 0)).isZero();
                }
                awaitConnections(server, 0);
            }
        }
    }

    /** NBD_OPT_GO and writes after it. */
    private static byte[] ahead(byte[] content, int block) {
        return WireClient.bytes(out -> {
            byte[] export = WireClient.export("disk");
            out.writeLong(0x49484156454f5054L);
            out.writeInt(WireClient.GO);
            out.writeInt(export.length);
            out.write(export);
            for (int at = 0; at < content.length; at += block) {
                out.write(request(1, at, block));
                out.write(content, at, block);
            }
        });
    }

    private static byte[] request(int type, long offset, int length) {
        return WireClient.bytes(out -> {
            out.writeInt(0x25609513);
            out.writeShort(0);
            out.writeShort(type);
            out.writeLong(offset);
            out.writeLong(offset);
            out.writeInt(length);
        });
    }

    private static void awaitConnections(Server server, int count) {
        long end = System.nanoTime() + LIMIT.toNanos();
        while (server.connections() != count) {
            assertThat(System.nanoTime() - end).as("others have left in time").isNegative();
            Thread.onSpinWait();
        }
    }

    /** How many a loop has answered. */
    private static long requests(Server server, int loop) throws IOException {
        URI figures =
                URI.create("http://127.0.0.1:" + server.metrics().orElseThrow().getPort() + "/metrics");
        String text = new String(figures.toURL().openStream().readAllBytes(), StandardCharsets.UTF_8);
        Matcher value = Pattern.compile("farsight_loop_requests_total\\{loop=\"" + loop + "\"\\} (\\d+)\n")
                .matcher(text);
        assertThat(value.find()).isTrue();
        return Long.parseLong(value.group(1));
    }

    // ---- what a man in the middle may try ------------------------------------------------------------------------

    @Test
    void withoutTlsEverythingIsRefusedWhereItIsRequired() throws IOException {
        try (Server server = serve(TlsConfig.Mode.REQUIRE, false)) {
            try (WireClient client = WireClient.tcp(port(server))) {
                for (int option : new int[] {LIST, 6, 7, 8, 9, 10, 11, 1234}) {
                    assertThat(client.answer(option, WireClient.export("disk"))).isEqualTo(ERR_TLS_REQD);
                }
                assertThat(client.answer(STARTTLS, (byte) 1)).isEqualTo(ERR_INVALID);
            }
            try (WireClient client = WireClient.tcp(port(server))) {
                client.sendOption(1, 4, "disk".getBytes());
                assertThat(client.atEnd()).isTrue();
            }
        }
        try (Server server = serve(TlsConfig.OFF);
                WireClient client = WireClient.tcp(port(server))) {
            assertThat(client.answer(STARTTLS)).isEqualTo(ERR_POLICY);
        }
    }

    /** "The server MUST operate in NOTLS mode unless [...] the client replied with NBD_FLAG_C_FIXED_NEWSTYLE." */
    @Test
    void clientsOfTheOldHandshakeAreNeitherTakenToTlsNorToldToUseIt() throws IOException {
        try (Server server = serve(TlsConfig.Mode.REQUIRE, false);
                WireClient client = WireClient.tcp(port(server), 0)) {
            assertThat(client.answer(STARTTLS)).isEqualTo(ERR_POLICY);
            assertThat(client.answer(7, WireClient.export("disk"))).isEqualTo(ERR_POLICY);
            client.sendOption(1, 4, "disk".getBytes());
            assertThat(client.atEnd()).isTrue();
        }
        try (Server server = serve(TlsConfig.Mode.ALLOW, false);
                WireClient client = WireClient.tcp(port(server), 0)) {
            assertThat(client.answer(STARTTLS)).isEqualTo(ERR_POLICY);
        }
    }

    /** CVE-2021-3716 of nbdkit: options that somebody puts before, or right behind, STARTTLS must not count after it. */
    @Test
    void whatIsInjectedBeforeTlsIsGone() throws IOException {
        try (Server server = serve(TlsConfig.Mode.ALLOW, false);
                TlsWire client = new TlsWire(port(server))) {
            // Structured replies are settled in the clear, and an option follows STARTTLS in the same segment.
            client.plain().structured();
            ByteBuffer both = ByteBuffer.allocate(32);
            both.putLong(0x49484156454f5054L).putInt(STARTTLS).putInt(0);
            both.putLong(0x49484156454f5054L).putInt(LIST).putInt(0);
            client.plain().send(both.flip());
            assertThat(client.plain().optionReplies().getLast().type()).isEqualTo(1);
            client.handshake();
            // The first answer is to what is asked now; contexts need structured replies, which are gone.
            client.sendOption(10, WireClient.queries("disk", "base:allocation"));
            TlsWire.Reply reply = client.reply();
            assertThat(reply.option()).isEqualTo(10);
            assertThat(reply.type()).isEqualTo(ERR_INVALID);
            client.sendOption(STARTTLS);
            assertThat(client.reply().type()).isEqualTo(ERR_INVALID);
        }
    }

    @Test
    void garbageInsteadOfTlsEndsTheConnection() throws IOException {
        try (Server server = serve(TlsConfig.Mode.ALLOW, false);
                WireClient client = WireClient.tcp(port(server))) {
            assertThat(client.answer(STARTTLS)).isEqualTo(1);
            client.sendOption(LIST, 0);
            ByteBuffer rest = ByteBuffer.allocate(64);
            int last = 0;
            while (last >= 0 && rest.hasRemaining()) {
                last = client.socket().read(rest);
            }
            // An alert at most, and never an answer.
            assertThat(last).isNegative();
            assertThat(rest.position()).isLessThan(20);
        }
    }

    /** One export over TLS only, one for another network only: whoever may not open one does not see it either. */
    @Test
    void exportsHaveRulesOfTheirOwn() throws IOException {
        Path file = directory.resolve("server.toml");
        Files.writeString(file, """
            [server]
            address = "127.0.0.1"
            port = 0
            tls = "allow"
            tls_certificates = "%s"

            [exports.open]
            backend = "memory"
            size = "1MiB"
            allow = ["::1", "127.0.0.0/8"]

            [exports.secret]
            backend = "memory"
            size = "1MiB"
            tls = "require"

            [exports.elsewhere]
            backend = "memory"
            size = "1MiB"
            allow = ["10.0.0.0/8", "fd00::/8"]
            """.formatted(serverDirectory()));
        Map<String, farsight.backend.BackendProvider> providers = Map.of("memory", new MemoryProvider());
        try (Server server = Server.start(ServerConfig.load(file, providers), providers)) {
            try (WireClient plain = WireClient.tcp(port(server))) {
                assertThat(plain.option(LIST))
                        .hasSize(2)
                        .first()
                        .extracting(TlsTest::name)
                        .isEqualTo("open");
                assertThat(plain.answer(6, WireClient.export("secret"))).isEqualTo(ERR_TLS_REQD);
                assertThat(plain.answer(7, WireClient.export("secret"))).isEqualTo(ERR_TLS_REQD);
                assertThat(plain.answer(7, WireClient.export("elsewhere"))).isEqualTo(ERR_POLICY);
                plain.structured();
                assertThat(plain.answer(10, WireClient.queries("secret", "base:")))
                        .isEqualTo(ERR_TLS_REQD);
                assertThat(plain.answer(10, WireClient.queries("elsewhere", "base:")))
                        .isEqualTo(ERR_POLICY);
                plain.go("open");
            }
            Requires.tool("nbdinfo", "libnbd-bin");
            String all = "nbds://localhost:" + port(server) + "/?tls-certificates=" + clientDirectory("none");
            assertThat(Commands.command("nbdinfo", "--list", all)
                            .run()
                            .expectSuccess()
                            .stdout())
                    .contains("export=\"open\"", "export=\"secret\"")
                    .doesNotContain("elsewhere");
        }
    }

    private static String name(WireClient.OptionReply reply) {
        return new String(reply.data(), 4, ByteBuffer.wrap(reply.data()).getInt());
    }

    // ---- files ---------------------------------------------------------------------------------------------------

    @Test
    void aKeyThatOthersMayReadIsRefused() throws IOException {
        Path own = serverDirectory();
        Path key = own.resolve("server-key.pem");
        Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r-----"));
        assertThatThrownBy(() -> serve(new TlsConfig(TlsConfig.Mode.REQUIRE, own, false, TlsConfig.VERSIONS)))
                .isInstanceOf(IOException.class)
                .hasMessage(key + ": others than its owner may use this private key; chmod 600 " + key);
    }
}

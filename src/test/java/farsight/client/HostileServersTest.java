package farsight.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import farsight.client.ScriptedServer.Asked;
import farsight.client.ScriptedServer.Message;
import farsight.client.ScriptedServer.Script;
import farsight.client.ScriptedServer.Talk;
import farsight.config.NbdUri;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Servers that lie, babble or keep silent: every one ends with one clear line, soon, and in bounded memory. */
class HostileServersTest {
    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final int DONE = Nbd.NBD_REPLY_FLAG_DONE;

    @TempDir
    Path directory;

    /** What is asked of the server. */
    enum Action {
        OPEN,
        LIST,
        READ,
        READ_DF,
        STATUS,
        FLUSH
    }

    record Case(String name, Action action, Script script, String message) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static final List<Case> CASES = new ArrayList<>();

    private static void add(String name, Action action, String message, Script script) {
        CASES.add(new Case(name, action, script, message));
    }

    /** The answer to a read of 4096 bytes at 8192, after structured replies were agreed on. */
    private static void read(String name, String message, Answer answer) {
        add("read: " + name, Action.READ, message, talk -> answer(talk, answer));
    }

    private static void status(String name, String message, Answer answer) {
        add("status: " + name, Action.STATUS, message, talk -> answer(talk, answer));
    }

    private static void extended(String name, Action action, String message, Answer answer) {
        add("extended: " + name, action, message, talk -> {
            talk.extended = true;
            answer(talk, answer);
        });
    }

    private interface Answer {
        void give(Talk talk, Asked asked) throws IOException;
    }

    private static void answer(Talk talk, Answer answer) throws IOException {
        talk.structured = true;
        talk.open();
        answer.give(talk, talk.request());
        talk.out.flush();
        talk.in.read(); // until the client is gone
    }

    /** What is written instead of the answer to an option. */
    private static void option(String name, int option, String message, Script script) {
        add("option: " + name, option == Nbd.NBD_OPT_LIST ? Action.LIST : Action.OPEN, message, talk -> {
            talk.structured = true;
            talk.until(option);
            script.play(talk);
            talk.out.flush();
            talk.in.read();
        });
    }

    private static Message extents(int context, long... values) {
        return o -> {
            o.writeInt(context);
            for (long value : values) {
                o.writeInt((int) value);
            }
        };
    }

    private static Message wideExtents(int context, int count, long... values) {
        return o -> {
            o.writeInt(context);
            o.writeInt(count);
            for (long value : values) {
                o.writeLong(value);
            }
        };
    }

    private static Message error(int error, int textLength, String text) {
        return o -> {
            o.writeInt(error);
            o.writeShort(textLength);
            o.writeBytes(text);
        };
    }

    private static Message blockSizes(int minimum, int preferred, int maximum) {
        return o -> {
            o.writeShort(Nbd.NBD_INFO_BLOCK_SIZE);
            o.writeInt(minimum);
            o.writeInt(preferred);
            o.writeInt(maximum);
        };
    }

    private static Script export(long size, int flags) {
        return talk -> {
            talk.size = size;
            talk.flags = flags;
            talk.reply(Nbd.NBD_OPT_GO, Nbd.NBD_REP_INFO, talk.export());
            talk.ack(Nbd.NBD_OPT_GO);
        };
    }

    private static Script info(Message message) {
        return talk -> {
            talk.reply(Nbd.NBD_OPT_GO, Nbd.NBD_REP_INFO, ScriptedServer.bytes(message));
            talk.ack(Nbd.NBD_OPT_GO);
        };
    }

    private static Script forEver(Script message) {
        return talk -> {
            while (true) {
                message.play(talk);
            }
        };
    }

    static {
        handshakes();
        options();
        simpleReplies();
        chunks();
        statuses();
        extendedHeaders();
    }

    private static void handshakes() {
        add("closes at once", Action.OPEN, "closed the connection", talk -> {});
        add("keeps silent", Action.OPEN, "does not answer", talk -> talk.in.read());
        add("half a greeting", Action.OPEN, "does not answer", talk -> {
            talk.out.writeLong(Nbd.NBD_MAGIC);
            talk.out.flush();
            talk.in.read();
        });
        add("speaks HTTP", Action.OPEN, "does not speak NBD", talk -> {
            talk.out.writeBytes("HTTP/1.1 400 Bad Request\r\n\r\n");
            talk.out.flush();
            talk.in.read();
        });
        add("wrong second magic", Action.OPEN, "wrong second magic", talk -> {
            talk.out.writeLong(Nbd.NBD_MAGIC);
            talk.out.write(new byte[10]);
            talk.out.flush();
            talk.in.read();
        });
        add("oldstyle", Action.OPEN, "oldstyle", talk -> {
            talk.out.writeLong(Nbd.NBD_MAGIC);
            talk.out.writeLong(Nbd.NBD_OLD_MAGIC);
            talk.out.write(new byte[136]);
            talk.out.flush();
            talk.in.read();
        });
        add("greets and closes", Action.OPEN, "closed the connection", Talk::greet);
        add("is silent after the greeting", Action.OPEN, "does not answer", talk -> {
            talk.greet();
            talk.in.skipNBytes(Long.MAX_VALUE);
        });
    }

    private static void options() {
        int go = Nbd.NBD_OPT_GO;
        option("wrong magic", go, "wrong magic", talk -> talk.out.write(new byte[20]));
        option(
                "another option's answer",
                go,
                "answered NBD_OPT_LIST when asked NBD_OPT_GO",
                talk -> talk.ack(Nbd.NBD_OPT_LIST));
        option("an answer of 4 GiB", go, "is said to have 4294967295 bytes", talk -> {
            talk.out.writeLong(Nbd.NBD_REP_MAGIC);
            talk.out.writeInt(go);
            talk.out.writeInt(Nbd.NBD_REP_INFO);
            talk.out.writeInt(-1);
        });
        option(
                "a reply that nobody asked for",
                go,
                "answered NBD_OPT_GO with NBD_REP_SERVER",
                talk -> talk.reply(go, Nbd.NBD_REP_SERVER, new byte[4]));
        option("no information", go, "did not say how large", talk -> talk.ack(go));
        option(
                "endless information",
                go,
                "does not end",
                forEver(talk -> talk.reply(go, Nbd.NBD_REP_INFO, new byte[] {0, 99})));
        option(
                "information of 1 byte",
                go,
                "NBD_REP_INFO of 1 bytes",
                talk -> talk.reply(go, Nbd.NBD_REP_INFO, new byte[1]));
        option("a size of 2^63", go, "9223372036854775808 bytes, which is more than 2^63-1", export(Long.MIN_VALUE, 1));
        option("a size of 2^64-1", go, "18446744073709551615 bytes", export(-1, 1));
        option("no NBD_FLAG_HAS_FLAGS", go, "without NBD_FLAG_HAS_FLAGS", export(4096, 2));
        option(
                "export information that is too short",
                go,
                "NBD_INFO_EXPORT of 8 bytes",
                info(o -> o.write(new byte[8])));
        option(
                "block sizes that are too short",
                go,
                "NBD_INFO_BLOCK_SIZE of 4 bytes",
                info(o -> o.writeInt(Nbd.NBD_INFO_BLOCK_SIZE << 16)));
        option("a smallest block of 0", go, "minimum block size of 0", info(blockSizes(0, 4096, 1 << 20)));
        option("a smallest block of 3", go, "minimum block size of 3", info(blockSizes(3, 4096, 1 << 20)));
        option(
                "a smallest block of 2^31",
                go,
                "minimum block size of 2147483648",
                info(blockSizes(1 << 31, 4096, 1 << 20)));
        option("blocks that contradict each other", go, "contradict", info(blockSizes(4096, 512, 1 << 20)));
        option("a largest block below the smallest", go, "contradict", info(blockSizes(4096, 4096, 512)));
        option("a name with a NUL", go, "has a NUL", info(o -> {
            o.writeShort(Nbd.NBD_INFO_NAME);
            o.writeBytes("a\0b");
        }));
        option("a description of 60,000 bytes", go, "export description", info(o -> {
            o.writeShort(Nbd.NBD_INFO_DESCRIPTION);
            o.write(new byte[60_000]);
        }));
        option(
                "a refusal that would clear the screen",
                go,
                "refused export 'disk': '?[2J?' (NBD_REP_ERR_POLICY)",
                talk -> talk.reply(go, Nbd.NBD_REP_ERR_POLICY, ScriptedServer.bytes(o -> o.writeBytes("\033[2J\n"))));
        option(
                "a refusal of 60,000 bytes",
                go,
                "refused export 'disk'",
                talk -> talk.reply(
                        go, Nbd.NBD_REP_ERR_POLICY, "x".repeat(60_000).getBytes()));
        option(
                "a demand for TLS",
                Nbd.NBD_OPT_STRUCTURED_REPLY,
                "demands TLS",
                talk -> talk.reply(Nbd.NBD_OPT_STRUCTURED_REPLY, Nbd.NBD_REP_ERR_TLS_REQD, new byte[0]));
        option("a shutdown", go, "NBD_REP_ERR_SHUTDOWN", talk -> talk.reply(go, Nbd.NBD_REP_ERR_SHUTDOWN, new byte[0]));
        option(
                "closing instead of an export",
                go,
                "closed the connection when asked for export",
                talk -> talk.reply(go, Nbd.NBD_REP_ERR_UNSUP, new byte[0]));

        int list = Nbd.NBD_OPT_LIST;
        option(
                "an endless list",
                list,
                "does not end",
                forEver(talk -> talk.reply(list, Nbd.NBD_REP_SERVER, new byte[4])));
        option(
                "an endless list of long names",
                list,
                "does not end",
                forEver(talk -> talk.reply(list, Nbd.NBD_REP_SERVER, ScriptedServer.bytes(o -> {
                    o.writeInt(4096);
                    o.writeBytes("x".repeat(8192));
                }))));
        option(
                "a name longer than its reply",
                list,
                "not well formed",
                talk -> talk.reply(list, Nbd.NBD_REP_SERVER, new byte[] {-1, -1, -1, -1, 'a'}));
        option(
                "a list entry of 3 bytes",
                list,
                "not well formed",
                talk -> talk.reply(list, Nbd.NBD_REP_SERVER, new byte[3]));
        option(
                "a list that is refused",
                list,
                "does not list its exports: no reason given (NBD_REP_ERR_POLICY)",
                talk -> talk.reply(list, Nbd.NBD_REP_ERR_POLICY, new byte[0]));

        int contexts = Nbd.NBD_OPT_SET_META_CONTEXT;
        option(
                "endless contexts",
                contexts,
                "twice",
                forEver(talk -> talk.reply(contexts, Nbd.NBD_REP_META_CONTEXT, Talk.context(1, "a:b"))));
        int[] id = {0};
        option(
                "endless contexts of different names",
                contexts,
                "does not end",
                forEver(talk -> talk.reply(contexts, Nbd.NBD_REP_META_CONTEXT, Talk.context(id[0]++, "a:" + id[0]))));
        option(
                "a context without a name",
                contexts,
                "answered NBD_OPT_SET_META_CONTEXT with",
                talk -> talk.reply(contexts, Nbd.NBD_REP_META_CONTEXT, new byte[4]));
        option(
                "structured replies with a surprise",
                Nbd.NBD_OPT_STRUCTURED_REPLY,
                "answered NBD_OPT_STRUCTURED_REPLY",
                talk -> talk.reply(Nbd.NBD_OPT_STRUCTURED_REPLY, Nbd.NBD_REP_ACK, new byte[9]));
    }

    private static void simple(String name, Action action, String message, Answer answer) {
        add("simple: " + name, action, message, talk -> {
            talk.open();
            answer.give(talk, talk.request());
            talk.out.flush();
            talk.in.read();
        });
    }

    private static void simpleReplies() {
        simple("wrong magic", Action.FLUSH, "no reply (wrong magic)", (talk, asked) -> talk.out.write(new byte[16]));
        simple("wrong cookie", Action.FLUSH, "wrong cookie", (talk, asked) -> talk.simple(asked.cookie() + 1, 0));
        simple("a cookie of 2^64-1", Action.FLUSH, "wrong cookie", (talk, asked) -> talk.simple(-1, 0));
        simple("silence", Action.FLUSH, "does not answer any more", (talk, asked) -> {});
        simple("half a payload and silence", Action.READ, "does not answer any more", (talk, asked) -> {
            talk.simple(asked.cookie(), 0);
            talk.out.write(new byte[2048]);
        });
        simple(
                "a structured reply that was not agreed on",
                Action.FLUSH,
                "wrong magic",
                (talk, asked) -> talk.chunk(asked, DONE, Nbd.NBD_REPLY_TYPE_NONE, o -> {}));
        simple("the same answer twice", Action.READ, "NBD_CMD_READ failed: NBD_EIO", (talk, asked) -> {
            talk.simple(asked.cookie(), 5);
            talk.simple(asked.cookie(), 5);
            talk.in.skipNBytes(28);
        });
        add("simple: half a payload and closing", Action.READ, "closed the connection", talk -> {
            talk.open();
            talk.simple(talk.request().cookie(), 0);
            talk.out.write(new byte[2048]);
        });
    }

    private static void chunks() {
        read("before what was asked for", "not within", (talk, asked) -> talk.data(asked, DONE, 8191, 10));
        read("after what was asked for", "not within", (talk, asked) -> talk.data(asked, DONE, 12288, 1));
        read("across the end", "not within", (talk, asked) -> talk.data(asked, DONE, 12000, 289));
        read("at 2^63", "at offset 9223372036854775808", (talk, asked) -> talk.data(asked, DONE, Long.MIN_VALUE, 1));
        read("at 2^64-1", "not within", (talk, asked) -> talk.data(asked, DONE, -1, 4096));
        read("no data in a data chunk", "has 0 bytes", (talk, asked) -> talk.data(asked, DONE, 8192, 0));
        read(
                "a data chunk of 7 bytes",
                "too short",
                (talk, asked) -> talk.chunk(asked, DONE, 1, o -> o.write(new byte[7])));
        read(
                "a data chunk of 4 GiB",
                "not within",
                (talk, asked) -> talk.chunk(asked, DONE, 1, 0xffff_ffffL, o -> o.writeLong(8192)));
        read(
                "an error before what was asked for",
                "error at offset 8191",
                (talk, asked) -> talk.chunk(asked, DONE, 0x8002, errorAt(8191)));
        read(
                "an error at 2^64-1",
                "error at offset 18446744073709551615",
                (talk, asked) -> talk.chunk(asked, DONE, 0x8002, errorAt(-1)));
        read("bytes twice", "bytes twice, at offset 8192", (talk, asked) -> {
            talk.data(asked, 0, 8192, 1000);
            talk.data(asked, 0, 8192, 1000);
        });
        read("a hole over data", "bytes twice", (talk, asked) -> {
            talk.data(asked, 0, 9000, 1000);
            talk.hole(asked, DONE, 8192, 4096);
        });
        read("a part left out", "leaves out a part", (talk, asked) -> {
            talk.data(asked, 0, 8192, 1000);
            talk.data(asked, DONE, 9193, 3095);
        });
        read("nothing at all", "leaves out a part", (talk, asked) -> talk.chunk(asked, DONE, 0, o -> {}));
        read("thousands of scattered bytes", "too many scattered pieces", (talk, asked) -> {
            for (int i = 0; i < 4096; i += 2) {
                talk.data(asked, 0, 8192 + i, 1);
            }
        });
        read("a hole of 0 bytes", "has 0 bytes", (talk, asked) -> talk.hole(asked, DONE, 8192, 0));
        read("a hole of 4 GiB", "not within", (talk, asked) -> talk.hole(asked, DONE, 8192, -1));
        read(
                "a hole chunk of 11 bytes",
                "hole chunk of 11 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 2, o -> o.write(new byte[11])));
        read("an end that is not one", "not its end", (talk, asked) -> talk.chunk(asked, 0, 0, o -> {}));
        read("an end with a payload", "not its end", (talk, asked) -> talk.chunk(asked, DONE, 0, o -> o.write(1)));
        read("an unknown chunk", "unknown type 77", (talk, asked) -> talk.chunk(asked, DONE, 77, o -> {}));
        read("a simple reply", "is a simple reply", (talk, asked) -> talk.simple(asked.cookie(), 0));
        read(
                "a chunk for nobody",
                "wrong cookie",
                (talk, asked) -> talk.hole(new Asked(0, 0, 99, 8192, 4096), DONE, 8192, 4096));
        read(
                "status instead of data",
                "was not asked for",
                (talk, asked) -> talk.chunk(asked, DONE, 5, extents(7, 4096, 0)));
        read("an error of 0", "not well formed", (talk, asked) -> talk.chunk(asked, DONE, 0x8001, error(0, 0, "")));
        read(
                "an error's text that is longer than the chunk",
                "not well formed",
                (talk, asked) -> talk.chunk(asked, DONE, 0x8001, error(5, 100, "no")));
        read(
                "an error chunk of 5 bytes",
                "error chunk of 5 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 0x8001, o -> o.write(new byte[5])));
        read(
                "an error chunk of 4 GiB",
                "error chunk of 4294967295 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 0x8001, 0xffff_ffffL, o -> {}));
        read(
                "an error without its offset",
                "not well formed",
                (talk, asked) -> talk.chunk(asked, DONE, 0x8002, error(5, 0, "")));
        read("endless errors", "does not end", (talk, asked) -> {
            while (true) {
                talk.chunk(asked, 0, 0x8001, error(5, 0, ""));
            }
        });
        read("an extended reply that was not agreed on", "wrong magic", (talk, asked) -> {
            talk.extended = true;
            talk.hole(asked, DONE, 8192, 4096);
        });
        add(
                "read: two chunks after DF",
                Action.READ_DF,
                "several chunks",
                talk -> answer(talk, (t, asked) -> {
                    t.data(asked, 0, 8192, 1000);
                    t.data(asked, DONE, 9192, 3096);
                }));
        add(
                "flush: data",
                Action.FLUSH,
                "not asked for",
                talk -> answer(talk, (t, asked) -> t.data(asked, DONE, 0, 1)));
    }

    private static Message errorAt(long offset) {
        return o -> {
            o.writeInt(Nbd.NBD_EIO);
            o.writeShort(0);
            o.writeLong(offset);
        };
    }

    private static void statuses() {
        status(
                "a context that was not agreed on",
                "not agreed on",
                (talk, asked) -> talk.chunk(asked, DONE, 5, extents(8, 4096, 0)));
        status("a context twice", "twice", (talk, asked) -> {
            talk.chunk(asked, 0, 5, extents(7, 4096, 0));
            talk.chunk(asked, DONE, 5, extents(7, 4096, 0));
        });
        status(
                "an extent of 0 bytes",
                "extent of 0 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 5, extents(7, 0, 0)));
        status(
                "extents beyond the end",
                "extent of 1 bytes at offset 12288",
                (talk, asked) -> talk.chunk(asked, DONE, 5, extents(7, 4096, 0, 1, 0)));
        status(
                "half an extent",
                "status chunk of 8 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 5, extents(7, 4096)));
        status("no extent", "status chunk of 4 bytes", (talk, asked) -> talk.chunk(asked, DONE, 5, extents(7)));
        status(
                "a chunk of 4 GiB",
                "status chunk of 4294967292 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 5, 0xffff_fffcL, o -> {}));
        status("nothing", "has no extents", (talk, asked) -> talk.chunk(asked, DONE, 0, o -> {}));
        status("a simple reply", "is a simple reply", (talk, asked) -> talk.simple(asked.cookie(), 0));
        status(
                "64-bit extents",
                "wrong width",
                (talk, asked) -> talk.chunk(asked, DONE, 6, wideExtents(7, 1, 4096, 0)));
    }

    private static void extendedHeaders() {
        extended(
                "another offset",
                Action.READ,
                "for another offset",
                (talk, asked) -> talk.hole(new Asked(0, 0, asked.cookie(), 0, 0), DONE, 8192, 4096));
        extended("a structured reply", Action.READ, "wrong magic", (talk, asked) -> {
            talk.extended = false;
            talk.hole(asked, DONE, 8192, 4096);
        });
        extended("a simple reply", Action.FLUSH, "wrong magic", (talk, asked) -> talk.simple(asked.cookie(), 0));
        extended(
                "data of 2^63 bytes",
                Action.READ,
                "too short",
                (talk, asked) -> talk.chunk(asked, DONE, 1, Long.MIN_VALUE, o -> o.writeLong(8192)));
        extended(
                "data of 2^63-1 bytes",
                Action.READ,
                "not within",
                (talk, asked) -> talk.chunk(asked, DONE, 1, Long.MAX_VALUE, o -> o.writeLong(8192)));
        extended(
                "an error of 2^64-1 bytes",
                Action.READ,
                "error chunk of 18446744073709551615 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 0x8001, -1, o -> {}));
        extended(
                "32-bit extents",
                Action.STATUS,
                "wrong width",
                (talk, asked) -> talk.chunk(asked, DONE, 5, extents(7, 4096, 0)));
        extended(
                "a wrong number of extents",
                Action.STATUS,
                "said to have 2 extents",
                (talk, asked) -> talk.chunk(asked, DONE, 6, wideExtents(7, 2, 4096, 0)));
        extended(
                "an extent of 2^63 bytes",
                Action.STATUS,
                "extent of 9223372036854775808 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 6, wideExtents(7, 1, Long.MIN_VALUE, 0)));
        extended(
                "an extent that ends after 2^63",
                Action.STATUS,
                "extent of 9223372036854775807 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 6, wideExtents(7, 1, Long.MAX_VALUE, 0)));
        extended(
                "a status chunk of 2^64-1 bytes",
                Action.STATUS,
                "status chunk of 18446744073709551615 bytes",
                (talk, asked) -> talk.chunk(asked, DONE, 6, -1, o -> {}));
    }

    static Stream<Case> cases() {
        return CASES.stream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void endsWithOneClearLine(Case hostile) throws IOException {
        check(hostile, false);
    }

    @ParameterizedTest
    @MethodSource("cases")
    void endsWithOneClearLineOverAChannel(Case hostile) throws IOException {
        check(hostile, true);
    }

    private void check(Case hostile, boolean channel) throws IOException {
        try (ScriptedServer server = new ScriptedServer(directory.resolve("s"), hostile.script())) {
            assertTimeoutPreemptively(
                    LIMIT,
                    () -> assertThatThrownBy(() -> act(hostile.action(), server.uri(), channel))
                            .isInstanceOfSatisfying(
                                    NbdException.class,
                                    e -> assertThat(e.getMessage())
                                            .contains(hostile.message())
                                            .doesNotContain("\n")
                                            .hasSizeLessThan(500)));
        }
    }

    private static void act(Action action, String uri) throws IOException {
        act(action, uri, false);
    }

    /** @param channel whether by a socket of the JDK's, not by native calls */
    private static void act(Action action, String uri, boolean channel) throws IOException {
        if (action == Action.LIST) {
            try (ClientSocket socket = channel
                    ? ClientSocket.connect(NbdUri.parse(uri), LIMIT)
                    : DescriptorSocket.connect(NbdUri.parse(uri), LIMIT)) {
                ClientHandshake.list(socket);
            }
            return;
        }
        ClientOptions options = ClientOptions.DEFAULT
                .withContexts(List.of(ClientOptions.ALLOCATION))
                .withTimeout(Duration.ofSeconds(1));
        try (NbdClient client = channel ? NbdClient.connectSoon(uri, options) : NbdClient.connect(uri, options);
                Arena arena = Arena.ofConfined()) {
            switch (action) {
                case READ -> {
                    client.read(arena.allocate(4096), 8192);
                }
                case READ_DF -> NbdClient.await(client.readAsync(arena.allocate(4096), 8192, CommandFlag.DF));
                case STATUS -> client.status(8192, 4096);
                case FLUSH -> client.flush();
                default -> {}
            }
        }
    }

    @Test
    void whatIsHonestPasses() throws IOException {
        Script honest = talk -> answer(talk, (t, asked) -> {
            t.data(asked, 0, 9000, 100);
            t.hole(asked, 0, 9100, 3188);
            t.data(asked, DONE, 8192, 808);
        });
        try (ScriptedServer server = new ScriptedServer(directory.resolve("s"), honest)) {
            act(Action.READ, server.uri());
        }
    }

    @Test
    void anErrorThatTheProtocolDoesNotHaveIsTakenForEinval() throws IOException {
        Script refusing = talk -> answer(talk, (t, asked) -> t.simple(asked.cookie(), 71));
        try (ScriptedServer server = new ScriptedServer(directory.resolve("s"), refusing)) {
            assertThatThrownBy(() -> act(Action.FLUSH, server.uri())).isInstanceOfSatisfying(NbdException.class, e -> {
                assertThat(e.error()).isEqualTo(Nbd.NBD_EINVAL);
                assertThat(e.getMessage()).endsWith("NBD_CMD_FLUSH failed: error 71");
            });
        }
    }

    @Test
    void anErrorHasItsTextAndOffset() throws IOException {
        Script refusing = talk -> answer(talk, (t, asked) -> {
            t.data(asked, 0, 8192, 100);
            t.chunk(asked, DONE, 0x8002, o -> {
                o.writeInt(Nbd.NBD_EIO);
                o.writeShort(9);
                o.writeBytes("bad block");
                o.writeLong(8292);
            });
        });
        try (ScriptedServer server = new ScriptedServer(directory.resolve("s"), refusing)) {
            assertThatThrownBy(() -> act(Action.READ, server.uri())).isInstanceOfSatisfying(NbdException.class, e -> {
                assertThat(e.error()).isEqualTo(Nbd.NBD_EIO);
                assertThat(e.offset()).isEqualTo(8292);
                assertThat(e.getMessage()).endsWith("NBD_CMD_READ failed: NBD_EIO, 'bad block', at offset 8292");
            });
        }
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.config.Io;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Clients that had to come to the loop that accepts move to one that is empty, and nothing is lost on the way. */
@Timeout(120)
class MoveTest {
    private static final int SIZE = 1 << 20;
    private static final int BLOCK = 4096;
    private static final int BLOCKS = 12;

    @TempDir
    Path directory;

    private TestServer serve(Io io) throws IOException {
        return new TestServer.Builder(directory)
                .io(io)
                .loops(2)
                .file("disk", directory.resolve("disk.img"), SIZE)
                .memory("ram", SIZE)
                .start();
    }

    private static long requests(TestServer server, int loop) {
        return server.server().counters().get(loop).requests();
    }

    /** Reads, and is answered by that loop. */
    private static void asks(TestServer server, RawClient client, int loop) throws IOException {
        long before = requests(server, loop);
        client.request(Nbd.NBD_CMD_READ, 0, 1, 0, BLOCK);
        assertThat(client.reply().error()).isZero();
        TestServer.awaitTrue("it is not on loop " + loop, () -> requests(server, loop) == before + 1);
    }

    private static byte[] block(int index) {
        byte[] block = new byte[BLOCK];
        Arrays.fill(block, (byte) (index + 1));
        return block;
    }

    /** NBD_OPT_GO, writes of some blocks and reads of those that were written before, to be sent at once. */
    private static void ask(RawClient client, String export, int first) throws IOException {
        client.hold();
        client.send(RawClient.option(Nbd.NBD_OPT_GO, RawClient.named(export)));
        for (int i = first; i < first + BLOCKS; i++) {
            client.request(Nbd.NBD_CMD_WRITE, 0, i, (long) i * BLOCK, BLOCK, block(i));
        }
        for (int i = first - BLOCKS; i < first; i++) {
            client.request(Nbd.NBD_CMD_READ, 0, i, (long) i * BLOCK, BLOCK);
        }
    }

    private static void hear(RawClient client, int first) throws IOException {
        RawClient.OptionReply option;
        do {
            option = client.optionReply();
            assertThat(option.isError()).isFalse();
        } while (option.type() != Nbd.NBD_REP_ACK);
        for (int i = 0; i < 2 * BLOCKS; i++) {
            RawClient.Reply reply = client.reply();
            assertThat(reply.error()).isZero();
            int block = (int) reply.cookie();
            if (block < first) {
                byte[] expected = first == BLOCKS ? new byte[BLOCK] : block(block);
                assertThat(RawClient.dataOf(reply, (long) block * BLOCK, BLOCK)).isEqualTo(expected);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void whatIsSentAheadWithTheOptionIsCarriedAlong(Io io) throws IOException {
        try (TestServer server = serve(io)) {
            for (String export : List.of("disk", "ram")) {
                for (int round = 1; round <= 10; round++) {
                    long onTheSecond = requests(server, 1);
                    try (RawClient client = server.stray()) {
                        ask(client, export, round * BLOCKS);
                        client.sendHeld();
                        hear(client, round * BLOCKS);
                    }
                    server.awaitNothingInUse();
                    assertThat(requests(server, 1) - onTheSecond).isEqualTo(2 * BLOCKS);
                    assertThat(requests(server, 0)).isZero();
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void clientsMayDieAtAnyByteOfTheirMove(Io io) throws IOException {
        int option = RawClient.option(Nbd.NBD_OPT_GO, RawClient.named("ram")).length;
        try (TestServer server = serve(io)) {
            for (int length = option - 2; length < option + 2 * BLOCK; length += 61) {
                try (RawClient client = server.stray()) {
                    ask(client, "ram", BLOCKS);
                    client.send(Arrays.copyOf(client.takeHeld(), length));
                }
                TestServer.awaitTrue("it is left", () -> server.server().connections() == 0);
            }
            assertCounted(server);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = Io.class,
            names = {"URING", "EPOLL"})
    void loopsCountThoseThatHaveMoved(Io io) throws IOException {
        try (TestServer server = serve(io)) {
            for (int i = 0; i < 3; i++) {
                try (RawClient client = server.stray().go("disk")) {
                    // It is where a new client would be, so that the next one comes to the loop that accepts.
                    asks(server, client, 1);
                    try (RawClient other = RawClient.greet(server.connect()).go("ram")) {
                        asks(server, other, 0);
                    }
                }
                server.awaitNothingInUse();
                assertCounted(server);
            }
        }
    }

    /** New clients of a server without any are spread as from the beginning. */
    private static void assertCounted(TestServer server) throws IOException {
        try (RawClient first = RawClient.greet(server.connect()).go("ram")) {
            asks(server, first, 1);
            try (RawClient second = RawClient.greet(server.connect()).go("ram")) {
                asks(server, second, 0);
                try (RawClient third = RawClient.greet(server.connect()).go("ram")) {
                    asks(server, third, 1);
                    try (RawClient fourth = RawClient.greet(server.connect()).go("ram")) {
                        asks(server, fourth, 0);
                    }
                }
            }
        }
        server.awaitNothingInUse();
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.config.Limits;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Clients that mean no good, while another one works: it goes on, and so does the listener. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AbuseTest {
    private static final int MOST_CONNECTIONS = 8;
    private static final int MOST_OPTIONS = 16;

    @TempDir
    Path directory;

    private TestServer server;
    private RawClient worker;
    private long cookie;

    @BeforeEach
    void serve() throws IOException {
        server = new TestServer.Builder(directory)
                .memory("disk", 1 << 20)
                .limits(new Limits(MOST_CONNECTIONS, 64, 64 << 20, 10, MOST_OPTIONS, Duration.ofMillis(500), 64 << 20))
                .start();
        worker = RawClient.greet(server.connect()).go("disk");
    }

    /** Whatever a test has done: the worker still works, and new clients are let in. */
    @AfterEach
    void theOthersGoOn() throws IOException {
        works();
        TestServer.awaitTrue("the others are still there", () -> server.server().connections() == 1);
        RawClient.greet(server.connect()).go("disk").close();
        worker.close();
        server.close();
    }

    private void works() throws IOException {
        worker.request(Nbd.NBD_CMD_READ, 0, ++cookie, 4096, 4096);
        assertThat(worker.reply().error()).isZero();
    }

    @Test
    void halfOpenHandshakesAreLimitedInNumberAndTime() throws IOException {
        List<SocketChannel> silent = new ArrayList<>();
        for (int i = 0; i < 5 * MOST_CONNECTIONS; i++) {
            silent.add(server.connect());
            works();
        }
        TestServer.awaitTrue("silent clients are kept", () -> server.server().connections() == 1);
        for (SocketChannel channel : silent) {
            channel.close();
        }
    }

    @Test
    void bytesOneByOneDoNotProlongAHandshake() throws IOException {
        try (RawClient slow = RawClient.greet(server.connect())) {
            byte[] option = RawClient.option(Nbd.NBD_OPT_LIST, new byte[30_000]);
            int sent = 0;
            try {
                while (sent < option.length) {
                    slow.send(new byte[] {option[sent++]});
                    works();
                }
                assertThat(slow.optionReply().isError()).isTrue();
                assertThat(slow.atEnd()).isTrue();
            } catch (IOException e) {
                assertThat(sent).as("disconnected in the middle").isLessThan(option.length);
            }
        }
    }

    @Test
    void aFloodOfOptionsIsCutOff() throws IOException {
        try (RawClient flood = RawClient.greet(server.connect())) {
            int answered = 0;
            try {
                for (int i = 0; i < 10 * MOST_OPTIONS; i++) {
                    flood.ask(77, new byte[100]);
                    answered++;
                }
            } catch (IOException e) {
                assertThat(answered).isEqualTo(MOST_OPTIONS);
            }
            assertThat(answered).isEqualTo(MOST_OPTIONS);
        }
    }

    @Test
    void namesAtTheLimitAreLegalAndOthersAreRefused() throws IOException {
        try (RawClient client = RawClient.greet(server.connect())) {
            assertThat(last(client, RawClient.named("n".repeat(4096))).type()).isEqualTo(Nbd.NBD_REP_ERR_UNKNOWN);
            RawClient.OptionReply tooLong = last(client, RawClient.named("n".repeat(4097)));
            assertThat(tooLong.isError()).isTrue();
            assertThat(tooLong.data().length).isLessThanOrEqualTo(4096);
            assertThat(last(client, RawClient.named("a\0b")).type()).isEqualTo(Nbd.NBD_REP_ERR_INVALID);
            byte[] noUtf8 = RawClient.named("ab");
            noUtf8[4] = (byte) 0xc3;
            assertThat(last(client, noUtf8).type()).isEqualTo(Nbd.NBD_REP_ERR_INVALID);
            works();
        }
    }

    private static RawClient.OptionReply last(RawClient client, byte[] data) throws IOException {
        return client.ask(Nbd.NBD_OPT_INFO, data).getLast();
    }

    @Test
    void nestedLengthsThatLieAreRefused() throws IOException {
        try (RawClient client = RawClient.greet(server.connect())) {
            for (long lie : new long[] {5, 0x7fffffff, 0x80000000L, 0xffffffffL}) {
                byte[] name = RawClient.bytes(out -> {
                    out.writeInt((int) lie);
                    out.writeBytes("disk");
                    out.writeShort(0);
                });
                assertThat(last(client, name).type()).as("name of " + lie).isEqualTo(Nbd.NBD_REP_ERR_INVALID);
            }
            byte[] count = RawClient.named("disk");
            count[count.length - 1] = (byte) 0xff;
            assertThat(last(client, count).type()).isEqualTo(Nbd.NBD_REP_ERR_INVALID);
            client.negotiateStructured();
            for (long lie : new long[] {2, 0x10000, 0xffffffffL}) {
                byte[] queries = RawClient.bytes(out -> {
                    out.writeInt(4);
                    out.writeBytes("disk");
                    out.writeInt((int) lie);
                    out.writeInt(4);
                    out.writeBytes("base");
                });
                assertThat(client.ask(Nbd.NBD_OPT_SET_META_CONTEXT, queries)
                                .getLast()
                                .isError())
                        .as("queries: " + lie)
                        .isTrue();
            }
            assertThat(client.go("disk").size()).isEqualTo(1 << 20);
        }
    }

    @Test
    void anOptionOf4GiBIsPassedOverNotKept() throws IOException {
        try (RawClient client = RawClient.greet(server.connect())) {
            client.send(RawClient.bytes(out -> {
                out.writeLong(0x49484156454f5054L);
                out.writeInt(Nbd.NBD_OPT_INFO);
                out.writeInt(-1);
            }));
            assertThat(client.optionReply().type()).isEqualTo(Nbd.NBD_REP_ERR_TOO_BIG);
            try {
                while (true) {
                    client.send(new byte[64 << 10]); // until its time is over
                }
            } catch (IOException e) {
                works();
            }
        }
    }
}

package farsight.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.client.ScriptedServer.Asked;
import farsight.client.ScriptedServer.Script;
import farsight.config.NbdUri;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How the client leaves a server: as the protocol wants it, with a word (proto.md, "Terminating the session"). */
class GoodbyeTest {
    private static final long SECONDS = 30;

    @TempDir
    Path directory;

    private final CompletableFuture<Integer> goodbye = new CompletableFuture<>();

    private ScriptedServer server(Script script) throws IOException {
        return new ScriptedServer(directory.resolve("s"), talk -> {
            try {
                script.play(talk);
            } catch (IOException e) {
                goodbye.completeExceptionally(e);
                throw e;
            }
        });
    }

    private int goodbye() throws Exception {
        return goodbye.get(SECONDS, TimeUnit.SECONDS);
    }

    @ParameterizedTest
    @ValueSource(ints = {Nbd.NBD_REP_ERR_UNKNOWN, Nbd.NBD_REP_ERR_SHUTDOWN, Nbd.NBD_REP_ERR_TLS_REQD})
    void aRefusedExportIsAnsweredByAnAbort(int reply) throws Exception {
        try (ScriptedServer server = server(talk -> {
            talk.until(Nbd.NBD_OPT_GO);
            talk.reply(Nbd.NBD_OPT_GO, reply, new byte[0]);
            goodbye.complete(talk.option());
        })) {
            assertThatThrownBy(() -> NbdClient.connect(server.uri()))
                    .isInstanceOf(NbdException.class)
                    .hasMessageContaining(Nbd.replyName(reply));
            assertThat(goodbye()).isEqualTo(Nbd.NBD_OPT_ABORT);
        }
    }

    @Test
    void aRefusedListIsAnsweredByAnAbort() throws Exception {
        try (ScriptedServer server = server(talk -> {
            talk.until(Nbd.NBD_OPT_LIST);
            talk.reply(Nbd.NBD_OPT_LIST, Nbd.NBD_REP_ERR_POLICY, new byte[0]);
            goodbye.complete(talk.option());
        })) {
            try (ClientSocket socket = ClientSocket.connect(NbdUri.parse(server.uri()), Duration.ofSeconds(SECONDS))) {
                assertThatThrownBy(() -> ClientHandshake.list(socket)).isInstanceOf(NbdException.class);
            }
            assertThat(goodbye()).isEqualTo(Nbd.NBD_OPT_ABORT);
        }
    }

    /** "If the client receives an NBD_ESHUTDOWN error it MUST initiate a soft disconnect." */
    @Test
    void aServerThatStopsIsAskedNothingMoreAndToldGoodbye() throws Exception {
        try (ScriptedServer server = server(talk -> {
                    talk.open();
                    Asked first = talk.request();
                    Asked second = talk.request();
                    talk.simple(first.cookie(), Nbd.NBD_ESHUTDOWN);
                    talk.simple(second.cookie(), 0); // what was under way may still be answered
                    goodbye.complete(talk.request().type());
                });
                NbdClient client = NbdClient.connect(server.uri())) {
            CompletableFuture<Void> first = client.flushAsync();
            CompletableFuture<Void> second = client.flushAsync();
            assertStopping(first);
            assertThat(second).succeedsWithin(Duration.ofSeconds(SECONDS));
            assertStopping(client.flushAsync());
            assertThat(goodbye()).isEqualTo(Nbd.NBD_CMD_DISC);
        }
    }

    private static void assertStopping(CompletableFuture<Void> future) {
        assertThatThrownBy(() -> NbdClient.await(future))
                .isInstanceOfSatisfying(
                        NbdException.class, e -> assertThat(e.error()).isEqualTo(Nbd.NBD_ESHUTDOWN));
    }
}

package farsight.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.protocol.Nbd;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Block status in some of the contexts (proto.md, extended headers, NBD_FLAG_BLOCK_STATUS_PAYLOAD), byte by byte. */
class ChosenContextsTest {
    private static final int OFFERED = 0xded | Nbd.NBD_FLAG_BLOCK_STATUS_PAYLOAD;
    private static final int DONE = Nbd.NBD_REPLY_FLAG_DONE;
    private static final ClientOptions BOTH = ClientOptions.DEFAULT.withContexts(List.of("base:allocation", "x:y"));

    @TempDir
    Path directory;

    private final CompletableFuture<String> asked = new CompletableFuture<>();

    /** Agrees on two contexts, takes one question and its payload, and answers for the contexts of a list. */
    private ScriptedServer server(int flags, int... told) throws IOException {
        return new ScriptedServer(directory.resolve("s"), talk -> {
            talk.extended = true;
            talk.flags = flags;
            talk.greet();
            for (int option = talk.option(); option != Nbd.NBD_OPT_GO; option = talk.option()) {
                if (option == Nbd.NBD_OPT_SET_META_CONTEXT) {
                    talk.reply(option, Nbd.NBD_REP_META_CONTEXT, ScriptedServer.Talk.context(7, "base:allocation"));
                    talk.reply(option, Nbd.NBD_REP_META_CONTEXT, ScriptedServer.Talk.context(9, "x:y"));
                }
                talk.ack(option);
            }
            talk.reply(Nbd.NBD_OPT_GO, Nbd.NBD_REP_INFO, talk.export());
            talk.ack(Nbd.NBD_OPT_GO);
            ScriptedServer.Asked request = talk.request();
            boolean payload = (request.flags() & Nbd.NBD_CMD_FLAG_PAYLOAD_LEN) != 0;
            StringBuilder words = new StringBuilder()
                    .append("flags ")
                    .append(request.flags())
                    .append(" length ")
                    .append(request.length());
            if (payload) {
                words.append(" effect ").append(talk.in.readLong());
                for (long at = 8; at < request.length(); at += 4) {
                    words.append(" context ").append(talk.in.readInt());
                }
            }
            asked.complete(words.toString());
            for (int i = 0; i < told.length; i++) {
                int context = told[i];
                talk.chunk(request, i + 1 == told.length ? DONE : 0, Nbd.NBD_REPLY_TYPE_BLOCK_STATUS_EXT, o -> {
                    o.writeInt(context);
                    o.writeInt(1);
                    o.writeLong(1 << 20);
                    o.writeLong(3);
                });
            }
            talk.in.readInt(); // until the client says goodbye
        });
    }

    private static Map<String, List<Extent>> one(NbdClient client, CommandFlag... flags) throws IOException {
        List<MetaContext> second = client.negotiated().contexts().subList(1, 2);
        return NbdClient.await(client.statusAsync(second, 4096, 65536, flags));
    }

    @Test
    void thePayloadSaysHowFarAndInWhich() throws IOException {
        try (ScriptedServer server = server(OFFERED, 9);
                NbdClient client = NbdClient.connect(server.uri(), BOTH)) {
            assertThat(one(client)).isEqualTo(Map.of("x:y", List.of(new Extent(4096, 1 << 20, 3))));
            assertThat(asked.join()).isEqualTo("flags 32 length 12 effect 65536 context 9");
        }
    }

    @Test
    void theExtentsOfOneContextAreAskedForAlone() throws IOException {
        try (ScriptedServer server = server(OFFERED, 7);
                NbdClient client = NbdClient.connect(server.uri(), BOTH)) {
            assertThat(client.extents("base:allocation", 0, 1 << 20)).containsExactly(new Extent(0, 1 << 20, 3));
            assertThat(asked.join()).isEqualTo("flags 32 length 12 effect 1048576 context 7");
        }
    }

    @Test
    void allContextsNeedNoPayload() throws IOException {
        try (ScriptedServer server = server(OFFERED, 7, 9);
                NbdClient client = NbdClient.connect(server.uri(), BOTH)) {
            assertThat(client.status(0, 4096)).containsOnlyKeys("base:allocation", "x:y");
            assertThat(asked.join()).isEqualTo("flags 0 length 4096");
        }
    }

    @Test
    void aServerThatCannotChooseIsAskedForAllAndTheRestIsLeftOut() throws IOException {
        try (ScriptedServer server = server(0xded, 7, 9);
                NbdClient client = NbdClient.connect(server.uri(), BOTH)) {
            assertThat(one(client)).containsOnlyKeys("x:y");
            assertThat(asked.join()).isEqualTo("flags 0 length 65536");
        }
    }

    @Test
    void aContextThatWasNotChosenIsALie() throws IOException {
        try (ScriptedServer server = server(OFFERED, 7);
                NbdClient client = NbdClient.connect(server.uri(), BOTH)) {
            assertThatThrownBy(() -> one(client)).hasMessageContaining("not asked for");
        }
    }

    @Test
    void moreThanOneDemandedIsALie() throws IOException {
        try (ScriptedServer server = server(OFFERED, 9);
                NbdClient client = NbdClient.connect(server.uri(), BOTH)) {
            assertThatThrownBy(() -> one(client, CommandFlag.REQ_ONE))
                    .hasMessageContaining("extent of 1048576 bytes at offset 4096");
            assertThat(asked.join()).isEqualTo("flags 40 length 12 effect 65536 context 9");
        }
    }
}

package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.backend.Request.Command;
import farsight.config.Limits;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A server that is told to stop while clients are at work. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class StopTest {
    private static final byte[] PAYLOAD = new byte[512];

    @TempDir
    Path directory;

    /** Keeps writes until a test lets them go; everything else is done at once. */
    private static final class SlowWriter implements AsyncBlockDevice {
        final BlockingQueue<Request> writes = new LinkedBlockingQueue<>();
        final ConcurrentLinkedQueue<String> events = new ConcurrentLinkedQueue<>();
        volatile int flushError;

        @Override
        public long size() {
            return 1 << 20;
        }

        @Override
        public Set<Feature> features() {
            // Extents are what structured replies are offered for.
            return Set.of(Feature.FLUSH, Feature.EXTENTS);
        }

        @Override
        public void submit(Request request) {
            if (request.command() == Command.WRITE) {
                writes.add(request);
                return;
            }
            if (request.command() == Command.READ) {
                request.buffer().fill((byte) 1);
            } else {
                events.add(request.command().toString());
            }
            if (request.command() == Command.FLUSH && flushError != 0) {
                request.fail(flushError);
            } else {
                request.complete();
            }
        }

        Request write() throws InterruptedException {
            Request write = writes.poll(30, TimeUnit.SECONDS);
            assertThat(write).as("a write of the client").isNotNull();
            return write;
        }

        void finish(Request write) {
            events.add("WRITE");
            write.complete();
        }

        @Override
        public void close() {
            events.add("close");
        }
    }

    private TestServer serve(SlowWriter storage, Duration timeout) throws IOException {
        return new TestServer.Builder(directory)
                .device("disk", storage)
                .file("file", directory.resolve("disk.img"), 1 << 20)
                .limits(Limits.DEFAULT.withShutdownTimeout(timeout))
                .start();
    }

    private static RawClient structured(TestServer server) throws IOException {
        RawClient client = RawClient.greet(server.connect());
        assertThat(client.negotiateStructured()).isTrue();
        return client.go("disk");
    }

    /** Reads until it is told that the server is stopping. */
    private static void awaitShutdown(RawClient client) throws IOException {
        long cookie = 1000;
        int error = 0;
        while (error == 0) {
            client.request(Nbd.NBD_CMD_READ, 0, ++cookie, 0, 512);
            error = client.reply().error();
        }
        assertThat(error).isEqualTo(Nbd.NBD_ESHUTDOWN);
    }

    @Test
    void whatIsInFlightIsFinishedAndTheRestIsToldThatTheServerStops() throws Exception {
        SlowWriter storage = new SlowWriter();
        TestServer server = serve(storage, Duration.ofSeconds(50));
        try (RawClient client = structured(server)) {
            client.request(Nbd.NBD_CMD_WRITE, 0, 1, 0, 512, PAYLOAD);
            Request write = storage.write();
            CompletableFuture<Void> stop = CompletableFuture.runAsync(server.server()::close);
            awaitShutdown(client);
            client.request(Nbd.NBD_CMD_WRITE, 0, 2, 0, 512, PAYLOAD);
            assertThat(client.reply().error()).isEqualTo(Nbd.NBD_ESHUTDOWN);
            // More of them than invalid requests are allowed: nothing is wrong with these.
            for (int i = 0; i < 50; i++) {
                client.request(Nbd.NBD_CMD_FLUSH, 0, 100 + i, 0, 0);
                assertThat(client.reply().error()).isEqualTo(Nbd.NBD_ESHUTDOWN);
            }
            assertThat(stop).isNotDone();
            storage.finish(write);
            RawClient.Reply reply = client.reply();
            assertThat(reply.cookie()).isEqualTo(1);
            assertThat(reply.error()).isZero();
            assertThat(client.atEnd()).isTrue();
            stop.join();
        }
        assertThat(storage.events).containsExactly("WRITE", "FLUSH", "close");
    }

    @Test
    void handshakesAreToldSoAndNobodyNewIsLetIn() throws Exception {
        SlowWriter storage = new SlowWriter();
        TestServer server = serve(storage, Duration.ofSeconds(50));
        try (RawClient client = structured(server);
                RawClient shaking = RawClient.greet(server.connect());
                RawClient leaving = RawClient.greet(server.connect());
                RawClient old = RawClient.greet(server.connect())) {
            client.request(Nbd.NBD_CMD_WRITE, 0, 1, 0, 512, PAYLOAD);
            Request write = storage.write();
            CompletableFuture<Void> stop = CompletableFuture.runAsync(server.server()::close);
            awaitShutdown(client);
            int type = Nbd.NBD_REP_ACK;
            while (type == Nbd.NBD_REP_ACK) {
                type = shaking.ask(Nbd.NBD_OPT_LIST, new byte[0]).getLast().type();
            }
            assertThat(type).isEqualTo(Nbd.NBD_REP_ERR_SHUTDOWN);
            for (int option : new int[] {Nbd.NBD_OPT_GO, Nbd.NBD_OPT_INFO}) {
                RawClient.OptionReply refusal =
                        shaking.ask(option, RawClient.named("disk")).getLast();
                assertThat(refusal.type()).isEqualTo(Nbd.NBD_REP_ERR_SHUTDOWN);
                assertThat(refusal.text()).contains("stopping");
            }
            assertThat(leaving.ask(Nbd.NBD_OPT_ABORT, new byte[0]).getLast().type())
                    .isEqualTo(Nbd.NBD_REP_ACK);
            assertThat(leaving.atEnd()).isTrue();
            old.send(RawClient.option(Nbd.NBD_OPT_EXPORT_NAME, "disk".getBytes()));
            assertThat(old.atEnd()).as("it has no error reply").isTrue();
            org.assertj.core.api.Assertions.assertThatThrownBy(server::connect).isInstanceOf(IOException.class);
            storage.finish(write);
            stop.join();
            assertThat(shaking.atEnd()).isTrue();
        }
    }

    /** The kernel sends again what was not answered, once it has a connection; an error it would hand to the application. */
    @Test
    void clientsOfSimpleRepliesGetNoErrorButTheirAnswersAndTheEnd() throws Exception {
        SlowWriter storage = new SlowWriter();
        TestServer server = serve(storage, Duration.ofSeconds(50));
        try (RawClient client = RawClient.greet(server.connect()).go("disk");
                RawClient observer = structured(server)) {
            client.request(Nbd.NBD_CMD_WRITE, 0, 1, 0, 512, PAYLOAD);
            Request write = storage.write();
            CompletableFuture<Void> stop = CompletableFuture.runAsync(server.server()::close);
            awaitShutdown(observer);
            // Some may be served before the stop reaches this connection; none after it.
            for (int i = 0; i < 100; i++) {
                client.request(Nbd.NBD_CMD_FLUSH, 0, 10 + i, 0, 0);
            }
            storage.finish(write);
            boolean written = false;
            try {
                while (true) {
                    RawClient.Reply reply = client.reply();
                    assertThat(reply.error()).isZero();
                    written |= reply.cookie() == 1;
                }
            } catch (IOException e) {
                assertThat(written).isTrue();
            }
            stop.join();
        }
        assertThat(storage.events).contains("WRITE").endsWith("FLUSH", "close");
    }

    @Test
    void payloadThatIsStillComingIsWaitedFor() throws Exception {
        SlowWriter storage = new SlowWriter();
        TestServer server = serve(storage, Duration.ofSeconds(50));
        try (RawClient client = structured(server);
                RawClient observer = structured(server)) {
            client.request(Nbd.NBD_CMD_WRITE, 0, 1, 0, 1024, PAYLOAD); // half of it
            TestServer.awaitTrue("not received", () -> server.server().requestsInUse() == 1);
            CompletableFuture<Void> stop = CompletableFuture.runAsync(server.server()::close);
            awaitShutdown(observer);
            client.send(PAYLOAD);
            storage.finish(storage.write());
            assertThat(client.reply().error()).isZero();
            stop.join();
        }
        assertThat(storage.events).containsExactly("WRITE", "FLUSH", "close");
    }

    @Test
    void storageThatDoesNotAnswerIsGivenUpInTime() throws Exception {
        SlowWriter storage = new SlowWriter();
        TestServer server = serve(storage, Duration.ofMillis(300));
        try (RawClient client = structured(server)) {
            client.request(Nbd.NBD_CMD_WRITE, 0, 1, 0, 512, PAYLOAD);
            Request write = storage.write();
            server.server().close();
            assertThat(client.atEnd()).isTrue();
            assertThat(storage.events).containsExactly("FLUSH"); // not closed: it has a request
            write.complete();
        }
    }

    @Test
    void aFlushThatFailsDoesNotKeepTheServer() throws Exception {
        SlowWriter storage = new SlowWriter();
        storage.flushError = Errno.EIO;
        TestServer server = serve(storage, Duration.ofSeconds(50));
        try (RawClient client = structured(server)) {
            server.server().close();
            assertThat(client.atEnd()).isTrue();
        }
        assertThat(storage.events).containsExactly("FLUSH", "close");
        assertThat(List.copyOf(storage.writes)).isEmpty();
    }
}

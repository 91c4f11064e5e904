package farsight.backend.rbd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.client.NbdClient;
import farsight.client.NbdException;
import farsight.tools.Commands;
import farsight.tools.MiniCeph;
import farsight.tools.Project;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What happens when the cluster does not want to hear of the server any more, as after a failover. */
class RbdBlocklistTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final int BLOCK = 4096;
    private static final int BLOCKS = 4096;
    private static final ValueLayout.OfLong NUMBER = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    @TempDir
    static Path directory;

    static MiniCeph ceph;
    static RunningCommand server;

    @BeforeAll
    static void serve() throws IOException {
        ceph = new MiniCeph(directory.resolve("ceph"));
        server = serve("server");
    }

    private static RunningCommand serve(String name) throws IOException {
        Path config = Files.writeString(directory.resolve(name + ".toml"), """
            [server]
            unix = "%1$s/%3$s.sock"

            [rbd]
            ceph_conf = "%2$s"
            ceph_user = "farsight"
            """.formatted(directory, ceph.conf(), name));
        RunningCommand serving = Commands.command(Project.launcher().toString(), "server", config.toString())
                .start();
        serving.awaitStdout(Pattern.compile("serving nbd"), LIMIT);
        return serving;
    }

    @AfterAll
    static void stop() {
        if (server != null) {
            server.terminate();
            server.await(LIMIT).expectSuccess();
        }
        if (ceph != null) {
            ceph.close();
        }
    }

    private static String uri(String image) {
        return uri(image, "server");
    }

    private static String uri(String image, String server) {
        return "nbd+unix:///rbd:rbd/" + image + "?socket=" + directory + "/" + server + ".sock";
    }

    /** The address that the cluster knows the server by: who watches an image is who has it open. */
    private static String watcher(String image) {
        String status = ceph.rbd("status", "rbd/" + image).expectSuccess().stdout();
        Matcher matcher = Pattern.compile("watcher=(\\S+)").matcher(status);
        assertThat(matcher.find()).as(status).isTrue();
        return matcher.group(1);
    }

    @Test
    void acknowledgedWritesSurviveAndTheNextConnectionIsServedByAnother() throws Exception {
        ceph.rbd("create", "--size", "16M", "rbd/image").expectSuccess();
        BitSet acknowledged = new BitSet();
        AtomicInteger next = new AtomicInteger();
        CountDownLatch enough = new CountDownLatch(200);
        String before;
        try (NbdClient client = NbdClient.connect(uri("image"))) {
            List<Thread> writers = new ArrayList<>();
            for (int t = 0; t < 8; t++) {
                boolean fua = t % 2 == 0;
                writers.add(Thread.ofPlatform().start(() -> write(client, fua, next, acknowledged, enough)));
            }
            assertThat(enough.await(60, TimeUnit.SECONDS)).isTrue();
            before = watcher("image");
            ceph.ceph("osd", "blocklist", "add", before).expectSuccess();
            // Each of them ends with an error, and none hangs.
            for (Thread writer : writers) {
                assertThat(writer.join(LIMIT)).isTrue();
            }
            assertThat(next.get()).as("writes that were tried").isLessThan(BLOCKS);
        }
        server.awaitStderr(Pattern.compile("rbd image rbd/image: this client is blocklisted"), LIMIT);

        try (NbdClient client = NbdClient.connect(uri("image"));
                Arena arena = Arena.ofConfined()) {
            assertThat(watcher("image")).isNotEqualTo(before);
            MemorySegment block = arena.allocate(BLOCK);
            for (int i = acknowledged.nextSetBit(0); i >= 0; i = acknowledged.nextSetBit(i + 1)) {
                client.read(block, (long) i * BLOCK);
                assertThat(block.get(NUMBER, 0)).as("block " + i).isEqualTo(i + 1L);
            }
            client.write(block.fill((byte) 7), 0, true);
        }
    }

    /**
     * Nobody asks for anything when it happens, so librbd finds out by its watch and gives up the lock. What is written
     * then waits for the lock, and librbd 16.2 forgets it without a word.
     */
    @Test
    void aWriteThatLibrbdForgetsEndsAllTheSame() throws Exception {
        ceph.rbd("create", "--size", "16M", "rbd/forgetful").expectSuccess();
        ceph.rbd("create", "--size", "16M", "rbd/other").expectSuccess();
        RunningCommand forgetting = serve("forgetting");
        try (forgetting;
                Arena arena = Arena.ofConfined()) {
            try (NbdClient client = NbdClient.connect(uri("forgetful", "forgetting"))) {
                client.write(arena.allocate(BLOCK), 0, true);
                ceph.ceph("osd", "blocklist", "add", watcher("forgetful")).expectSuccess();
                Thread.sleep(12_000); // its watch is renewed every 5 s
                long began = System.nanoTime();
                assertThatThrownBy(() -> client.write(arena.allocate(BLOCK), 0, false))
                        .isInstanceOf(NbdException.class);
                assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(30));
            }
            for (String image : List.of("forgetful", "other")) {
                try (NbdClient client = NbdClient.connect(uri(image, "forgetting"))) {
                    client.write(arena.allocate(BLOCK), 0, true);
                }
            }
            // What was forgotten is not waited for at the end either.
            long began = System.nanoTime();
            forgetting.terminate();
            String said = forgetting.await(LIMIT).expectSuccess().stderr();
            assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(7));
            assertThat(said)
                    .contains("waits for requests that its lost storage does not answer; disconnected")
                    .doesNotContain("leaving it as it is", "could not be flushed");
        }
    }

    /** Nothing is open when it happens, so that the next one to open an image is the first to hear of it. */
    @Test
    void anIdleConnectionToTheClusterIsReplacedWhenItIsOfNoUse() throws Exception {
        ceph.rbd("create", "--size", "16M", "rbd/idle").expectSuccess();
        String before;
        try (NbdClient client = NbdClient.connect(uri("idle"))) {
            before = watcher("idle");
            assertThat(client.size()).isEqualTo(16 << 20);
        }
        ceph.ceph("osd", "blocklist", "add", before).expectSuccess();
        try (Arena arena = Arena.ofConfined()) {
            // The first ones may still be opened by a connection that has not heard of it yet.
            long deadline = System.nanoTime() + LIMIT.toNanos();
            while (!written(arena.allocate(BLOCK))) {
                assertThat(System.nanoTime()).as("nobody is served any more").isLessThan(deadline);
            }
        }
        try (NbdClient client = NbdClient.connect(uri("idle"))) {
            assertThat(client.size()).isEqualTo(16 << 20);
            assertThat(watcher("idle")).isNotEqualTo(before);
        }
    }

    /** Whoever lists first hears of it, and gets the list all the same, by a new connection to the cluster. */
    @Test
    void aListIsMadeByAnotherConnectionToTheCluster() throws Exception {
        ceph.rbd("create", "--size", "16M", "rbd/listed").expectSuccess();
        RunningCommand listing = serve("listing");
        try (listing) {
            String before;
            try (NbdClient client = NbdClient.connect(uri("listed", "listing"))) {
                assertThat(client.size()).isEqualTo(16 << 20);
                before = watcher("listed");
            }
            ceph.ceph("osd", "blocklist", "add", before).expectSuccess();
            // Nothing is asked of the cluster meanwhile; its daemons know soon.
            Thread.sleep(3000);
            String list = Commands.command(
                            "nbdinfo", "--list", "--json", "nbd+unix:///?socket=" + directory + "/listing.sock")
                    .run()
                    .expectSuccess()
                    .stdout();
            assertThat(list).contains("\"rbd:rbd/listed\"");
            try (NbdClient client = NbdClient.connect(uri("listed", "listing"));
                    Arena arena = Arena.ofConfined()) {
                client.write(arena.allocate(BLOCK), 0, true);
                assertThat(watcher("listed")).isNotEqualTo(before);
            }
            listing.terminate();
            listing.await(LIMIT).expectSuccess();
        }
    }

    private static boolean written(MemorySegment block) {
        try (NbdClient client = NbdClient.connect(uri("idle"))) {
            client.write(block, 0, true);
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /** Writes blocks with their number in them until that fails; notes those that were promised to be stable. */
    private static void write(
            NbdClient client, boolean fua, AtomicInteger next, BitSet acknowledged, CountDownLatch enough) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(BLOCK);
            for (int block = next.getAndIncrement(); block < BLOCKS; block = next.getAndIncrement()) {
                data.set(NUMBER, 0, block + 1L);
                client.write(data, (long) block * BLOCK, fua);
                if (!fua) {
                    client.flush();
                }
                synchronized (acknowledged) {
                    acknowledged.set(block);
                }
                enough.countDown();
            }
        } catch (IOException e) {
            // As was intended.
        }
    }
}

package farsight.backend.rbd;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.client.NbdClient;
import farsight.tools.Commands;
import farsight.tools.MiniCeph;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import farsight.tools.WireClient;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Cache and overlay over an image of a real Ceph cluster, from the packaged server, and commits into the image. */
class RbdLayersTest {
    private static final Duration LONG = Duration.ofSeconds(120);
    private static final int SIZE = 16 << 20;
    private static final int BLOCK = 4096;

    @TempDir
    static Path directory;

    private static MiniCeph ceph;
    private static int images;

    private String image;
    private byte[] original;
    private Path cow;
    private RunningCommand server;

    @BeforeAll
    static void start() {
        ceph = new MiniCeph(directory.resolve("ceph"));
    }

    @AfterAll
    static void end() {
        if (ceph != null) {
            ceph.close();
        }
    }

    @BeforeEach
    void serveAnImage() throws IOException {
        Requires.tool("nbdcopy", "libnbd-bin");
        Requires.tool("qemu-io", "qemu-utils");
        image = "layered" + images++;
        original = new byte[SIZE];
        new Random(11).nextBytes(original);
        Path file = Files.write(directory.resolve(image + ".raw"), original);
        ceph.rbd("import", "--no-progress", file.toString(), "rbd/" + image).expectSuccess();
        cow = directory.resolve(image + ".cow");
        serve();
    }

    @AfterEach
    void stop() {
        if (server != null) {
            server.close();
        }
    }

    private void serve() throws IOException {
        Path config =
                Files.writeString(directory.resolve("server.toml"), """
                    [server]
                    unix = "%1$s/nbd"
                    [rbd]
                    ceph_conf = "%2$s"
                    ceph_user = "farsight"
                    [exports.disk]
                    backend = "rbd"
                    image = "%3$s"
                    layers = [{ layer = "cache", size = "2MiB" }, { layer = "overlay", path = "%4$s" }]
                    [exports.cached]
                    backend = "rbd"
                    image = "%3$s"
                    layers = [{ layer = "cache", size = "2MiB" }]
                    [exports.plain]
                    backend = "rbd"
                    image = "%3$s"
                    [exports.slow]
                    backend = "rbd"
                    image = "%3$s"
                    layers = [{ layer = "delay", write = "20ms" }]
                    """.formatted(directory, ceph.conf(), image, cow));
        server = Commands.command(Project.launcher().toString(), "server", config.toString())
                .start();
        server.awaitStdout(Pattern.compile("serving nbd"), LONG);
    }

    /** Ends it in order, and expects it to have nothing to complain of. */
    private void terminate() {
        server.terminate();
        Commands.Result result = server.await(LONG).expectSuccess();
        assertThat(result.stderr()).doesNotContain("Exception").doesNotContain("\tat ");
        server = null;
    }

    private static String uri(String export) {
        return "nbd+unix:///" + export + "?socket=" + directory.resolve("nbd");
    }

    private static Commands.Result run(String... words) {
        return Commands.command(words).limit(LONG).run().expectSuccess();
    }

    private static byte[] read(String export) throws IOException {
        Path copy = directory.resolve("copy");
        run("nbdcopy", uri(export), copy.toString());
        return Files.readAllBytes(copy);
    }

    private byte[] exported() throws IOException {
        Path file = directory.resolve("exported");
        Files.deleteIfExists(file);
        ceph.rbd("export", "--no-progress", "rbd/" + image, file.toString()).expectSuccess();
        return Files.readAllBytes(file);
    }

    /** Writes, zeroes and a whole block, all flushed; what the disk is then. */
    private byte[] write() {
        run(
                "qemu-io",
                "-f",
                "raw",
                "-c",
                "write -P 1 100k 3k",
                "-c",
                "write -P 2 4190208 130k",
                "-c",
                "write -z -u 8M 1M",
                "-c",
                "write -z 12345344 512",
                "-c",
                "write -P 3 16773120 4k",
                "-c",
                "flush",
                uri("disk"));
        byte[] written = original.clone();
        Arrays.fill(written, 100 << 10, 103 << 10, (byte) 1);
        Arrays.fill(written, 4190208, 4190208 + (130 << 10), (byte) 2);
        Arrays.fill(written, 8 << 20, 9 << 20, (byte) 0);
        Arrays.fill(written, 12345344, 12345344 + 512, (byte) 0);
        Arrays.fill(written, 16773120, 16773120 + 4096, (byte) 3);
        return written;
    }

    private Commands overlay(String verb, String... more) {
        java.util.List<String> words = new java.util.ArrayList<>(
                java.util.List.of(Project.launcher().toString(), "overlay", verb, cow.toString()));
        words.addAll(java.util.List.of(more));
        return Commands.command(words).limit(LONG);
    }

    @Test
    void whatIsWrittenStaysInTheOverlayUntilItIsCommitted() throws IOException {
        byte[] written = write();
        assertThat(read("disk")).isEqualTo(written);
        terminate();
        assertThat(exported()).isEqualTo(original);
        serve();
        assertThat(read("disk")).isEqualTo(written);
        String committed = overlay("commit", uri("plain")).run().expectSuccess().stdout();
        assertThat(committed).isEqualTo("22 blocks written to " + uri("plain") + "\n");
        assertThat(overlay("info").run().expectSuccess().stdout()).contains("blocks: 0 of 256");
        assertThat(read("disk")).isEqualTo(written);
        terminate();
        assertThat(exported()).isEqualTo(written);
    }

    /** The overlay may not be emptied into itself, nor while somebody writes to it. */
    @Test
    void anOverlayInUseIsNotCommitted() throws IOException {
        byte[] written = write();
        Commands.Result itself = overlay("commit", uri("disk")).run().expectExit(1);
        assertThat(itself.stderr()).contains("is in use").hasLineCount(1);
        assertThat(read("disk")).isEqualTo(written);
        assertThat(read("plain")).isEqualTo(original);
    }

    /** Cut by the end of the program, and by the end of the server that it writes to. */
    @Test
    void aCommitThatIsCutShortIsDoneByAnother() throws IOException {
        byte[] written = write();
        try (RunningCommand commit = overlay("commit", uri("slow")).start()) {
            awaitChange();
            ProcessHandle.of(commit.pid()).orElseThrow().destroyForcibly();
            assertThat(commit.await(LONG).exit()).isEqualTo(128 + 9);
        }
        assertThat(read("plain")).isNotEqualTo(original).isNotEqualTo(written);
        assertThat(read("disk")).isEqualTo(written);
        try (RunningCommand commit = overlay("commit", uri("slow")).start()) {
            awaitChange();
            ProcessHandle.of(server.pid()).orElseThrow().destroyForcibly();
            Commands.Result failed = commit.await(LONG).expectExit(1);
            assertThat(failed.stderr()).hasLineCount(1);
        }
        server.close();
        serve();
        assertThat(read("disk")).isEqualTo(written);
        overlay("commit", uri("plain")).run().expectSuccess();
        assertThat(read("plain")).isEqualTo(written);
        terminate();
        assertThat(exported()).isEqualTo(written);
    }

    /** Until the image has the first of what was written, in the block at 100 KiB. */
    private static void awaitChange() throws IOException {
        long deadline = System.nanoTime() + LONG.toNanos();
        try (NbdClient client = NbdClient.connect(uri("plain"));
                Arena arena = Arena.ofShared()) {
            MemorySegment memory = arena.allocate(4);
            do {
                assertThat(System.nanoTime()).isLessThan(deadline);
                client.read(memory, 100 << 10);
            } while (memory.mismatch(arena.allocate(4).fill((byte) 1)) >= 0);
        }
    }

    @Test
    void loadOverItIsVerified() throws IOException {
        Requires.tool("fio", "fio");
        for (String export : new String[] {"disk", "cached"}) {
            run(
                    "fio",
                    "--name=layers",
                    "--ioengine=nbd",
                    "--uri=" + uri(export),
                    "--rw=randwrite",
                    "--bsrange=512-128k",
                    "--bs_unaligned",
                    "--iodepth=16",
                    "--size=16m",
                    "--verify=crc32c",
                    "--fsync=64",
                    "--verify_state_save=0",
                    "--randrepeat=0");
            if (export.equals("disk")) {
                assertThat(exported()).isEqualTo(original);
            }
        }
        byte[] last = read("cached");
        terminate();
        assertThat(exported()).isEqualTo(last);
    }

    // ---- clients that go in the middle ---------------------------------------------------------------------------

    @Test
    void clientsDroppedInTheMiddleLeaveBlocksThatSomebodyWrote() throws IOException {
        Random random = new Random(13);
        for (int round = 1; round <= 20; round++) {
            drop(random, round); // each the only one: the storage is closed under its requests, and opened anew
        }
        try (NbdClient other = NbdClient.connect(uri("disk"));
                Arena arena = Arena.ofShared()) {
            MemorySegment mine = arena.allocate(BLOCK).fill((byte) 99);
            MemorySegment back = arena.allocate(BLOCK);
            for (int round = 21; round <= 40; round++) {
                drop(random, round);
                other.write(mine, SIZE - (long) round * BLOCK, false);
                other.read(back, SIZE - (long) round * BLOCK);
                assertThat(back.mismatch(mine)).isEqualTo(-1);
            }
            other.flush();
        }
        byte[] seen = read("disk");
        assertThat(Arrays.mismatch(seen, original)).as("something was written").isBetween(0, SIZE / 2);
        for (int at = 0; at < SIZE; at += BLOCK) {
            boolean own = at >= SIZE - 40 * BLOCK && at <= SIZE - 21 * BLOCK;
            boolean written = at < SIZE / 2 && seen[at] >= 1 && seen[at] <= 40;
            byte[] uniform = new byte[BLOCK];
            Arrays.fill(uniform, own ? 99 : seen[at]);
            boolean known = Arrays.equals(seen, at, at + BLOCK, uniform, 0, BLOCK) && (own || written)
                    || !own && Arrays.equals(seen, at, at + BLOCK, original, at, at + BLOCK);
            assertThat(known).as("block at " + at).isTrue();
        }
        terminate();
        assertThat(exported()).isEqualTo(original);
        serve();
        assertThat(read("disk")).isEqualTo(seen);
        terminate();
    }

    /** Writes and reads of which no answer is taken, then half of a write, then nothing. */
    private static void drop(Random random, int round) throws IOException {
        byte[] block = new byte[BLOCK];
        Arrays.fill(block, (byte) round);
        try (WireClient client = WireClient.unix(directory.resolve("nbd")).go("disk")) {
            int requests = 1 + random.nextInt(60);
            for (int i = 0; i < requests; i++) {
                long offset = (long) random.nextInt(SIZE / 2 / BLOCK) * BLOCK;
                switch (random.nextInt(4)) {
                    case 0 -> client.send(0, WireClient.READ, i, offset, BLOCK);
                    case 1 -> client.send(0, WireClient.FLUSH, i, 0, 0);
                    default -> client.send(random.nextInt(2), WireClient.WRITE, i, offset, BLOCK, block);
                }
            }
            ByteBuffer half = ByteBuffer.allocate(28 + BLOCK / 2);
            half.putInt(0x25609513).putShort((short) 0).putShort((short) WireClient.WRITE);
            client.send(half.putLong(requests)
                    .putLong(0)
                    .putInt(BLOCK)
                    .put(block, 0, BLOCK / 2)
                    .flip());
        }
    }
}

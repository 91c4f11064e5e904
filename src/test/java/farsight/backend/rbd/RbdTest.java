package farsight.backend.rbd;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.client.NbdClient;
import farsight.tools.Commands;
import farsight.tools.MiniCeph;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The packaged server on a real Ceph cluster, used by others' clients and watched by Ceph's own tools. */
class RbdTest {
    private static final Duration LONG = Duration.ofSeconds(180);
    private static final Pattern READY = Pattern.compile("serving nbd");
    private static final int BLOCK = 4096;

    @TempDir
    static Path directory;

    static MiniCeph ceph;
    static RunningCommand server;

    @BeforeAll
    static void serve() throws IOException {
        ceph = new MiniCeph(directory.resolve("ceph"));
        server = startServer("server");
    }

    @AfterAll
    static void stop() {
        if (server != null) {
            server.terminate();
            server.await(Duration.ofSeconds(30)).expectSuccess();
        }
        if (ceph != null) {
            ceph.close();
        }
    }

    private static RunningCommand startServer(String name) throws IOException {
        return startServer(name, """
            allow = ["rbd/*", "rbd/space/*"]

            [exports.pinned]
            backend = "rbd"
            image = "pinned"
            """);
    }

    private static RunningCommand startServer(String name, String more) throws IOException {
        Path config = directory.resolve(name + ".toml");
        Files.writeString(config, """
            [server]
            unix = "%1$s/%2$s.sock"

            [rbd]
            ceph_conf = "%3$s"
            ceph_user = "farsight"
            %4$s
            """.formatted(directory, name, ceph.conf(), more));
        RunningCommand started = Commands.command(Project.launcher().toString(), "server", config.toString())
                .start();
        started.awaitStdout(READY, Duration.ofSeconds(30));
        return started;
    }

    private static final Pattern LISTED = Pattern.compile("\"export-name\": \"([^\"]*)\"");

    /** What nbdinfo lists of a server. */
    private static List<String> listed(String name) {
        Requires.tool("nbdinfo", "libnbd-bin");
        String all = Commands.command(
                        "nbdinfo", "--list", "--json", "nbd+unix://?socket=" + directory + "/" + name + ".sock")
                .limit(Duration.ofSeconds(60))
                .run()
                .expectSuccess()
                .stdout();
        return LISTED.matcher(all).results().map(result -> result.group(1)).toList();
    }

    private static String uri(String export) {
        return "nbd+unix:///" + export + "?socket=" + directory + "/server.sock";
    }

    private static void run(String... words) {
        Commands.command(words).directory(directory).limit(LONG).run().expectSuccess();
    }

    private static void create(String image, String size) {
        ceph.rbd("create", "--size", size, "rbd/" + image).expectSuccess();
    }

    private static Path export(String image) {
        Path file = directory.resolve(image + ".exported");
        ceph.rbd("export", "--no-progress", "rbd/" + image, file.toString()).expectSuccess();
        return file;
    }

    /** A real file system image with files in it. */
    private static Path fileSystem() throws IOException {
        Path image = directory.resolve("fs.img");
        if (!Files.exists(image)) {
            String mke2fs = Requires.tool("mke2fs", "e2fsprogs").toString();
            run(mke2fs, "-q", "-t", "ext4", "-d", Project.ROOT.resolve("src").toString(), image.toString(), "96M");
        }
        return image;
    }

    private static void fioVerify(String export, String... more) {
        fio(export, more).run().expectSuccess();
    }

    private static Commands fio(String export, String... more) {
        Requires.tool("fio", "fio");
        List<String> words = new java.util.ArrayList<>(List.of(
                "fio",
                "--name=verify",
                "--ioengine=nbd",
                "--uri=" + uri(export),
                "--rw=randwrite",
                "--iodepth=32",
                "--verify=crc32c",
                "--verify_fatal=1",
                "--randseed=5"));
        words.addAll(List.of(more));
        return Commands.command(words).directory(directory).limit(LONG);
    }

    // ---- what goes in comes out ----------------------------------------------------------------------------------

    @Test
    void aFileSystemConvertedByQemuIsWhatCephExportsAndBack() throws IOException {
        create("converted", "96M");
        run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", fileSystem().toString(), uri("rbd:rbd/converted"));
        assertThat(Files.mismatch(fileSystem(), export("converted"))).isEqualTo(-1);
        Path back = directory.resolve("back.img");
        run("qemu-img", "convert", "-f", "raw", "-O", "raw", uri("rbd:rbd/converted"), back.toString());
        assertThat(Files.mismatch(fileSystem(), back)).isEqualTo(-1);
    }

    @Test
    void nbdcopyWithFourConnectionsIsWhatCephExports() throws IOException {
        create("copied", "96M");
        run(
                "nbdcopy",
                "--connections=4",
                "--requests=64",
                "--flush",
                fileSystem().toString(),
                uri("rbd:rbd/copied"));
        assertThat(Files.mismatch(fileSystem(), export("copied"))).isEqualTo(-1);
    }

    @Test
    void fioVerifiesAtDepth32() {
        create("fio", "64M");
        fioVerify("rbd:rbd/fio", "--bsrange=4k-1m", "--size=64m");
        fioVerify("rbd:rbd/fio", "--bsrange=512-5k", "--bs_unaligned", "--size=2m");
    }

    /** Many requests at a time: the threads that carry them do not interrupt each other, unless that is not wanted. */
    @Test
    void threadsWorkInBatchesUnderManyRequests() throws Exception {
        create("batched", "64M");
        try (RunningCommand never = startServer("never", "batch = false")) {
            String elsewhere = "--uri=nbd+unix:///rbd:rbd/batched?socket=" + directory + "/never.sock";
            assertThat(batchThreads(never, elsewhere)).isEmpty();
        }
        assertThat(batchThreads(server, "--uri=" + uri("rbd:rbd/batched")))
                .anyMatch(name -> name.startsWith("msgr-worker-"))
                .anyMatch(name -> name.startsWith("io_context_pool"))
                .anyMatch(name -> name.startsWith("loop-"));
    }

    /** The names of a server's threads that were SCHED_BATCH at some time of a load. */
    private static Set<String> batchThreads(RunningCommand serving, String uri) throws Exception {
        Set<String> names = new TreeSet<>();
        try (RunningCommand load = Commands.command(
                        "fio",
                        "--name=load",
                        "--ioengine=nbd",
                        uri,
                        "--rw=randread",
                        "--bs=4k",
                        "--iodepth=64",
                        "--size=64m",
                        "--time_based",
                        "--runtime=4")
                .start()) {
            for (int i = 0; i < 35; i++) {
                Thread.sleep(100);
                try (Stream<Path> threads = Files.list(Path.of("/proc/" + serving.pid() + "/task"))) {
                    for (Path thread : threads.toList()) {
                        String stat = Files.readString(thread.resolve("stat"));
                        String[] fields =
                                stat.substring(stat.lastIndexOf(')') + 2).split(" ");
                        if (fields[38].equals("3")) { // policy, proc_pid_stat(5)
                            names.add(Files.readString(thread.resolve("comm")).strip());
                        }
                    }
                }
            }
            load.await(LONG).expectSuccess();
        }
        return names;
    }

    @Test
    void zeroesAndDiscardsReachTheImage() throws IOException {
        create("pinned", "16M");
        String result = Commands.command(
                        "qemu-io",
                        "-f",
                        "raw",
                        "-d",
                        "unmap",
                        "-c",
                        "write -P 0xa5 0 16M",
                        "-c",
                        "discard 4M 4M",
                        "-c",
                        "write -z 8M 1M",
                        "-c",
                        "write -z -u 9M 1M",
                        "-c",
                        "flush",
                        "-c",
                        "read -P 0xa5 0 4M",
                        "-c",
                        "read -P 0 8M 2M",
                        uri("pinned"))
                .run()
                .expectSuccess()
                .stdout();
        assertThat(result).doesNotContain("failed");
        assertThat(ceph.rbd("diff", "rbd/pinned").stdout()).doesNotContain("4194304 4194304 data");
    }

    /**
     * The map is what librbd's diff reports, which is as coarse as the object store's extents: whatever Ceph's tool calls
     * data is data here and the other way round, byte for byte.
     */
    @Test
    void theMapOfASparseImageIsTheDiffOfCeph() {
        Requires.tool("nbdinfo", "libnbd-bin");
        create("sparse", "64M");
        run(
                "qemu-io",
                "-f",
                "raw",
                "-c",
                "write -P 1 0 64k",
                "-c",
                "write -P 2 9M 1M",
                "-c",
                "write -P 3 40M 5M",
                "-c",
                "flush",
                uri("rbd:rbd/sparse"));
        List<String> diff = ceph.rbd("diff", "rbd/sparse")
                .expectSuccess()
                .stdout()
                .lines()
                .map(String::strip)
                .filter(line -> line.endsWith("data"))
                .map(line -> line.replaceAll("\\s+", " "))
                .toList();
        List<String> map = Commands.command("nbdinfo", "--map", uri("rbd:rbd/sparse"))
                .run()
                .expectSuccess()
                .stdout()
                .lines()
                .map(String::strip)
                .filter(line -> line.endsWith("data"))
                .map(line -> line.replaceAll("\\s+", " ").replace(" 0 data", " data"))
                .toList();
        assertThat(merged(map)).isNotEmpty().isEqualTo(merged(diff));
    }

    /** Neighbouring ranges as one, since the two tools cut them at different places. */
    private static List<String> merged(List<String> ranges) {
        List<String> merged = new java.util.ArrayList<>();
        long start = -1;
        long end = -1;
        for (String range : ranges) {
            String[] words = range.split(" ");
            long from = Long.parseLong(words[0]);
            if (from != end) {
                if (end >= 0) {
                    merged.add(start + "-" + end);
                }
                start = from;
            }
            end = from + Long.parseLong(words[1]);
        }
        merged.add(start + "-" + end);
        return merged;
    }

    /** The object store counts what it is asked to read, and nobody else asks it for this image's 10 MiB meanwhile. */
    @Test
    void aCacheHintMakesTheObjectStoreReadTheRange() throws IOException {
        create("hinted", "32M");
        run("qemu-io", "-f", "raw", "-c", "write -P 1 1M 10M", "-c", "flush", uri("rbd:rbd/hinted"));
        try (NbdClient client = NbdClient.connect(uri("rbd:rbd/hinted"))) {
            long before = bytesRead();
            client.cache(1 << 20, 10 << 20);
            assertThat(bytesRead() - before).isGreaterThanOrEqualTo(10 << 20);
        }
    }

    private static long bytesRead() {
        String counters = ceph.osd("perf", "dump", "osd").expectSuccess().stdout();
        Matcher matcher = Pattern.compile("\"op_r_out_bytes\": (\\d+)").matcher(counters);
        assertThat(matcher.find()).isTrue();
        return Long.parseLong(matcher.group(1));
    }

    // ---- what is listed ------------------------------------------------------------------------------------------

    /** Lists, without looking into anything, until a name is there. */
    private static String awaitListed(String server, String name) {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        String script = """
            import nbd
            h = nbd.NBD()
            h.set_opt_mode(True)
            h.connect_unix("%s/%s.sock")
            h.opt_list(lambda name, description: print(name))
            h.opt_abort()
            """.formatted(directory, server);
        long deadline = System.nanoTime() + LONG.toNanos();
        String now;
        do {
            now = Commands.command("/usr/bin/python3", "-c", script)
                    .run()
                    .expectSuccess()
                    .stdout();
        } while (!now.contains(name) && System.nanoTime() < deadline);
        assertThat(now).contains(name);
        return now;
    }

    private static void createListed() {
        create("listed-1", "8M");
        create("listed-2", "8M");
        create("unlisted", "8M");
        for (String namespace : List.of("shown", "hidden")) {
            ceph.rbd("namespace", "create", "rbd/" + namespace).expectSuccess();
            ceph.rbd("create", "--size", "8M", "rbd/" + namespace + "/within").expectSuccess();
        }
        ceph.ceph("osd", "pool", "create", "foreign", "1").expectSuccess();
    }

    @Test
    void imagesAreListedAsAllowedAndWithoutThatAllThatTheUserMayList() throws IOException {
        createListed();
        String export = "[exports.plain]\nbackend = \"memory\"\nsize = \"1MiB\"\n";
        try (RunningCommand some = startServer("some", "allow = [\"rbd/listed*\", \"r*/sh*/*\"]\n" + export);
                RunningCommand all = startServer("all", export);
                RunningCommand foreign = startServer("foreign", "allow = [\"foreign/*\"]\n" + export)) {
            assertThat(listed("some"))
                    .containsExactly("plain", "rbd:rbd/listed-1", "rbd:rbd/listed-2", "rbd:rbd/shown/within");
            assertThat(listed("all"))
                    .contains(
                            "plain",
                            "rbd:rbd/listed-1",
                            "rbd:rbd/listed-2",
                            "rbd:rbd/unlisted",
                            "rbd:rbd/shown/within",
                            "rbd:rbd/hidden/within");
            assertThat(listed("foreign")).containsExactly("plain");
            foreign.awaitStderr(
                    Pattern.compile("backend 'rbd' cannot list its exports: .*'foreign'.*its capabilities"),
                    Duration.ofSeconds(10));
            for (RunningCommand each : List.of(some, all)) {
                each.terminate();
                assertThat(each.await(Duration.ofSeconds(30)).expectSuccess().stderr())
                        .doesNotContain("cannot list");
            }
        }
    }

    @Test
    void anObjectStoreThatIsAwayHoldsUpNoList() throws IOException {
        create("awaited", "8M");
        String export = "[exports.plain]\nbackend = \"memory\"\nsize = \"1MiB\"\n";
        try (RunningCommand other = startServer("away", "allow = [\"rbd/awaited\"]\n" + export)) {
            ceph.verb("kill-osd");
            try {
                assertThat(listed("away")).containsExactly("plain");
                assertThat(listed("away")).containsExactly("plain");
                try (RunningCommand leaving = startServer("leaving", export)) {
                    assertThat(listed("leaving")).containsExactly("plain");
                    leaving.terminate(); // while it still asks
                    leaving.await(Duration.ofSeconds(30)).expectSuccess();
                }
            } finally {
                ceph.verb("start-osd");
            }
            assertThat(awaitListed("away", "rbd:rbd/awaited")).isEqualTo("plain\nrbd:rbd/awaited\n");
            // The other tests' server also has to find the object store again.
            awaitListed("server", "rbd:rbd/awaited");
            other.terminate();
            assertThat(other.await(Duration.ofSeconds(30)).expectSuccess().stderr())
                    .containsOnlyOnce("backend 'rbd' cannot list its exports: no answer within 5000 ms");
        }
    }

    // ---- what is refused, and how --------------------------------------------------------------------------------

    @Test
    void snapshotsAreReadOnlyAndNamespacesWork() throws IOException {
        create("snapped", "8M");
        run("qemu-io", "-f", "raw", "-c", "write -P 1 0 64k", uri("rbd:rbd/snapped"));
        ceph.rbd("snap", "create", "rbd/snapped@before").expectSuccess();
        run("qemu-io", "-f", "raw", "-c", "write -P 2 0 64k", uri("rbd:rbd/snapped"));
        run("qemu-io", "-r", "-f", "raw", "-c", "read -P 1 0 64k", uri("rbd:rbd/snapped@before"));
        String info = Commands.command("nbdinfo", "--json", uri("rbd:rbd/snapped@before"))
                .run()
                .expectSuccess()
                .stdout();
        assertThat(info).contains("\"is_read_only\": true");
        ceph.rbd("namespace", "create", "rbd/space").expectSuccess();
        ceph.rbd("create", "--size", "8M", "rbd/space/inside").expectSuccess();
        run("qemu-io", "-f", "raw", "-c", "write -P 3 0 64k", uri("rbd:rbd/space/inside"));
    }

    @Test
    void whatCannotBeOpenedIsSaidToServerAndClient() {
        Commands.Result missing =
                Commands.command("nbdinfo", "--size", uri("rbd:rbd/nothing")).run();
        assertThat(missing.exit()).isNotZero();
        server.awaitStderr(
                Pattern.compile("rbd image rbd/nothing: No such file or directory.*it does not exist"),
                Duration.ofSeconds(10));
        Commands.Result forbidden =
                Commands.command("nbdinfo", "--size", uri("rbd:other/image")).run();
        assertThat(forbidden.stderr()).contains("policy");
    }

    @Test
    void anUnreachableMonitorIsGivenUpInBoundedTime() throws IOException {
        Path conf = Files.writeString(
                directory.resolve("nowhere.conf"),
                "[global]\nmon_host = [v2:127.0.0.1:1/0]\nkeyring = " + directory.resolve("ceph/farsight.keyring")
                        + "\n");
        Path config = Files.writeString(directory.resolve("nowhere.toml"), """
            [server]
            unix = "%1$s/nowhere.sock"
            [rbd]
            ceph_conf = "%2$s"
            ceph_user = "farsight"
            [exports.plain]
            backend = "memory"
            size = "1MiB"
            """.formatted(directory, conf));
        try (RunningCommand nowhere = Commands.command(Project.launcher().toString(), "server", config.toString())
                .start()) {
            nowhere.awaitStdout(READY, Duration.ofSeconds(30));
            Commands.Result result = Commands.command(
                            "nbdinfo", "--size", "nbd+unix:///rbd:rbd/x?socket=" + directory + "/nowhere.sock")
                    .limit(Duration.ofSeconds(40))
                    .run();
            assertThat(result.exit()).isNotZero();
            nowhere.awaitStderr(Pattern.compile("no monitor answers|cannot be opened"), Duration.ofSeconds(10));
            long start = System.nanoTime();
            assertThat(listed("nowhere")).containsExactly("plain");
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(9));
            nowhere.terminate();
            assertThat(nowhere.await(Duration.ofSeconds(30)).expectSuccess().stderr())
                    .containsOnlyOnce("cannot list its exports");
        }
    }

    @Test
    void aResizeByAnotherClientIsSeen() throws IOException {
        create("resized", "8M");
        try (NbdClient first = NbdClient.connect(uri("rbd:rbd/resized"));
                Arena arena = Arena.ofConfined()) {
            ceph.rbd("resize", "--size", "16M", "--no-progress", "rbd/resized").expectSuccess();
            server.awaitStderr(Pattern.compile("rbd/resized: resized from 8MiB to 16MiB"), Duration.ofSeconds(20));
            try (NbdClient second = NbdClient.connect(uri("rbd:rbd/resized"))) {
                assertThat(second.size()).isEqualTo(16 << 20);
                second.write(arena.allocate(BLOCK), 12 << 20, true);
            }
            assertThat(first.size()).isEqualTo(8 << 20);
        }
    }

    @Test
    void anEncryptedImageIsOpenedWithItsPassphrase() throws IOException {
        create("secret", "64M");
        Path passphrase = Files.writeString(directory.resolve("passphrase"), "open sesame");
        ceph.rbd("encryption", "format", "rbd/secret", "luks2", passphrase.toString())
                .expectSuccess();
        Path config =
                Files.writeString(directory.resolve("secret.toml"), """
                    [server]
                    unix = "%1$s/secret.sock"
                    [rbd]
                    ceph_conf = "%2$s"
                    ceph_user = "farsight"
                    [exports.secret]
                    backend = "rbd"
                    image = "secret"
                    passphrase_file = "%3$s"
                    """.formatted(directory, ceph.conf(), passphrase));
        try (RunningCommand other = Commands.command(Project.launcher().toString(), "server", config.toString())
                .start()) {
            other.awaitStdout(READY, Duration.ofSeconds(30));
            String uri = "nbd+unix:///secret?socket=" + directory + "/secret.sock";
            run("qemu-io", "-f", "raw", "-c", "write -P 0x42 1M 1M", "-c", "flush", "-c", "read -P 0x42 1M 1M", uri);
        }
        // What Ceph holds is not what was written.
        byte[] stored = Files.readAllBytes(export("secret"));
        int same = 0;
        for (byte b : stored) {
            same += b == 0x42 ? 1 : 0;
        }
        assertThat(same).isLessThan(1 << 19);
    }

    // ---- faults --------------------------------------------------------------------------------------------------

    @Test
    void anObjectStoreThatIsKilledForTenSecondsCausesNoError() {
        create("osd-fault", "96M");
        underFio("osd-fault", "kill-osd", "start-osd");
    }

    @Test
    void aMonitorThatIsKilledForTenSecondsCausesNoError() {
        create("mon-fault", "96M");
        underFio("mon-fault", "kill-mon", "start-mon");
    }

    /** fio writes and verifies while something of the cluster is away. */
    private static void underFio(String image, String kill, String start) {
        try (RunningCommand running = fio("rbd:rbd/" + image, "--bs=4k", "--size=96m", "--status-interval=1")
                .start()) {
            running.awaitStdout(Pattern.compile("write: IOPS="), Duration.ofSeconds(60));
            ceph.verb(kill);
            run("sleep", "10");
            ceph.verb(start);
            Commands.Result result = running.await(LONG).expectSuccess();
            assertThat(result.stdout()).contains("err= 0");
        }
    }

    @Test
    void whatWasAcknowledgedIsThereAfterTheServerIsKilled() throws Exception {
        int blocks = 8192;
        create("acknowledged", blocks * BLOCK / (1 << 20) + "M");
        RunningCommand victim = startServer("victim");
        BitSet acknowledged = new BitSet();
        CountDownLatch enough = new CountDownLatch(400);
        try (NbdClient client =
                NbdClient.connect("nbd+unix:///rbd:rbd/acknowledged?socket=" + directory + "/victim.sock")) {
            AtomicInteger next = new AtomicInteger();
            List<Thread> writers = new java.util.ArrayList<>();
            for (int t = 0; t < 8; t++) {
                boolean fua = t % 2 == 0;
                writers.add(Thread.ofPlatform().start(() -> write(client, fua, blocks, next, acknowledged, enough)));
            }
            assertThat(enough.await(60, TimeUnit.SECONDS)).isTrue();
            Commands.command("kill", "-KILL", Long.toString(victim.pid())).run().expectSuccess();
            for (Thread writer : writers) {
                writer.join();
            }
        } finally {
            victim.close();
        }
        assertThat(acknowledged.cardinality()).isGreaterThanOrEqualTo(400);
        try (FileChannel image = FileChannel.open(export("acknowledged"))) {
            ByteBuffer buffer = ByteBuffer.allocate(8);
            for (int block = acknowledged.nextSetBit(0); block >= 0; block = acknowledged.nextSetBit(block + 1)) {
                image.read(buffer.clear(), (long) block * BLOCK);
                assertThat(buffer.getLong(0)).as("block " + block).isEqualTo(block + 1L);
            }
        }
    }

    /** Writes blocks with their number in them until the connection dies; notes those that were promised to be stable. */
    private static void write(
            NbdClient client, boolean fua, int blocks, AtomicInteger next, BitSet acknowledged, CountDownLatch enough) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = arena.allocate(BLOCK);
            for (int block = next.getAndIncrement(); block < blocks; block = next.getAndIncrement()) {
                data.set(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(java.nio.ByteOrder.BIG_ENDIAN), 0, block + 1L);
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
            // The server is dead, as was intended.
        }
    }

    @Test
    void anotherClientMayTakeTheExclusiveLockUnderLoad() {
        create("contended", "64M");
        try (RunningCommand running = fio(
                        "rbd:rbd/contended",
                        "--bs=4k",
                        "--size=32m",
                        "--io_size=96m",
                        "--do_verify=0",
                        "--status-interval=1")
                .start()) {
            running.awaitStdout(Pattern.compile("write: IOPS="), Duration.ofSeconds(60));
            for (int i = 0; i < 3; i++) {
                ceph.rbd(
                                "bench",
                                "--io-type",
                                "write",
                                "--io-size",
                                "4K",
                                "--io-total",
                                "1M",
                                "--io-pattern",
                                "rand",
                                "rbd/contended")
                        .expectSuccess();
            }
            assertThat(running.await(LONG).expectSuccess().stdout()).contains("err= 0");
        }
    }
}

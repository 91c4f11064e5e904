package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.client.ClientOptions;
import farsight.client.CommandFlag;
import farsight.client.Extent;
import farsight.client.MetaContext;
import farsight.client.NbdClient;
import farsight.client.NbdException;
import farsight.protocol.Nbd;
import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Our client against the servers of others, and what farsight info, map and copy say compared with libnbd's tools. */
@SuppressWarnings("try") // servers are only closed, their addresses are known
class PeersTest {
    private static final ClientOptions STATUS = ClientOptions.DEFAULT.withContexts(List.of(ClientOptions.ALLOCATION));

    @TempDir
    Path directory;

    // ---- servers -------------------------------------------------------------------------------------------------

    private Path socket() {
        return directory.resolve("s");
    }

    private String uri(String export) {
        return "nbd+unix:///" + export + "?socket=" + socket();
    }

    private RunningCommand started(Commands command) throws IOException {
        RunningCommand server = command.start();
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (true) {
            try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
                channel.connect(UnixDomainSocketAddress.of(socket()));
                return server;
            } catch (IOException e) {
                if (System.nanoTime() > deadline) {
                    server.close();
                    throw e;
                }
                Thread.onSpinWait();
            }
        }
    }

    private RunningCommand nbdkit(String... words) throws IOException {
        Requires.tool("nbdkit", "nbdkit");
        List<String> command = new ArrayList<>(List.of("nbdkit", "-f", "-U", socket().toString()));
        command.addAll(List.of(words));
        return started(Commands.command(command));
    }

    private RunningCommand qemuNbd(String... words) throws IOException {
        Requires.tool("qemu-nbd", "qemu-utils");
        List<String> command = new ArrayList<>(List.of("qemu-nbd", "-t", "-k", socket().toString(), "-e", "8"));
        command.addAll(List.of(words));
        return started(Commands.command(command));
    }

    private RunningCommand nbdServer(Path image) throws IOException {
        Requires.tool("nbd-server", "nbd-server");
        Path config = Files.writeString(directory.resolve("nbd-server.conf"), """
            [generic]
            unixsock = %s
            allowlist = true
            [disk]
            exportname = %s
            flush = true
            fua = true
            trim = true
            """.formatted(socket(), image));
        return started(Commands.command("nbd-server", "-C", config.toString()));
    }

    private static String farsight(String... words) {
        List<String> command = new ArrayList<>(List.of(Project.launcher().toString()));
        command.addAll(List.of(words));
        return Commands.command(command).run().expectSuccess().stdout();
    }

    private static String refused(String... words) {
        List<String> command = new ArrayList<>(List.of(Project.launcher().toString()));
        command.addAll(List.of(words));
        String said = Commands.command(command).run().expectExit(1).stderr();
        assertThat(said).startsWith("farsight: ").hasLineCount(1);
        return said;
    }

    private static String jq(Path json, String filter) {
        Requires.tool("jq", "jq");
        return Commands.command("jq", "-S", "-c", filter, json.toString())
                .run()
                .expectSuccess()
                .stdout();
    }

    private String jq(String json, String filter) throws IOException {
        return jq(Files.writeString(directory.resolve("out.json"), json), filter);
    }

    private static String nbdinfo(String... words) {
        Requires.tool("nbdinfo", "libnbd-bin");
        List<String> command = new ArrayList<>(List.of("nbdinfo"));
        command.addAll(List.of(words));
        return Commands.command(command).run().expectSuccess().stdout();
    }

    /** A file with data in some places, at odd ones too, and holes elsewhere. */
    private Path image(String name, long size) throws IOException {
        Path path = directory.resolve(name);
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(size);
            byte[] some = new byte[300_001];
            Random random = new Random(3);
            for (long at = 12_345; at + some.length < size; at += 5_000_011) {
                random.nextBytes(some);
                file.seek(at);
                file.write(some);
            }
        }
        return path;
    }

    private static MemorySegment random(Arena arena, int length) {
        return arena.allocateFrom(ValueLayout.JAVA_BYTE, random(length));
    }

    // ---- all commands --------------------------------------------------------------------------------------------

    private static void exercise(NbdClient client) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment data = random(arena, 1 << 20);
            List<CompletableFuture<?>> all = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                all.add(client.writeAsync(data, (long) i << 20, false));
            }
            all.forEach(CompletableFuture::join);
            if (client.negotiated().has(Nbd.NBD_FLAG_SEND_FUA)) {
                client.write(data.asSlice(0, 4096), 0, true);
            }
            if (client.negotiated().canFlush()) {
                client.flush();
            }
            MemorySegment back = arena.allocate(8 << 20);
            if (client.negotiated().canZero()) {
                client.zero(1 << 20, 1 << 20, true);
                client.zero(2 << 20, 4096, false);
                client.read(back.asSlice(0, 1 << 20), 1 << 20);
                assertThat(back.asSlice(0, 1 << 20).mismatch(arena.allocate(1 << 20)))
                        .isEqualTo(-1);
            }
            if (client.negotiated().canTrim()) {
                client.trim(3 << 20, 1 << 20);
            }
            if (client.negotiated().has(Nbd.NBD_FLAG_SEND_CACHE)) {
                client.cache(0, 1 << 20);
            }
            all.clear();
            for (int i = 4; i < 8; i++) {
                all.add(client.readAsync(back.asSlice((long) i << 20, 1 << 20), (long) i << 20));
            }
            all.forEach(CompletableFuture::join);
            for (int i = 4; i < 8; i++) {
                assertThat(back.asSlice((long) i << 20, 1 << 20).mismatch(data)).isEqualTo(-1);
            }
        }
    }

    @Test
    void nbdkitWithStructuredReplies() throws IOException {
        try (RunningCommand server = nbdkit("memory", "16M");
                NbdClient client = NbdClient.connect(uri(""), STATUS.withConnections(4))) {
            assertThat(client.negotiated().structured()).isTrue();
            assertThat(client.connections()).isEqualTo(4);
            exercise(client);
            NbdClient.class
                    .cast(client)
                    .zeroAsync(0, 4096, CommandFlag.FAST_ZERO, CommandFlag.FUA)
                    .join();
            try (Arena arena = Arena.ofConfined()) {
                client.readAsync(arena.allocate(65536), 0, CommandFlag.DF).join();
            }
            assertThat(client.extents(ClientOptions.ALLOCATION, 0, 16 << 20)).isNotEmpty();
            assertThat(client.status(0, 16 << 20, CommandFlag.REQ_ONE).get(ClientOptions.ALLOCATION))
                    .hasSize(1);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"--no-sr", "--mask-handshake=0", "--mask-handshake=1"})
    void nbdkitAsOlderServersAre(String option) throws IOException {
        try (RunningCommand server = nbdkit(option, "memory", "16M");
                NbdClient client = NbdClient.connect(uri(""), STATUS)) {
            assertThat(client.negotiated().structured()).isEqualTo(option.equals("--mask-handshake=1"));
            exercise(client);
        }
    }

    @Test
    void nbdkitsErrorsFailOneRequestEach() throws IOException {
        try (RunningCommand server =
                        nbdkit("--filter=error", "memory", "1M", "error-pread=ENOMEM", "error-pread-rate=100%");
                NbdClient client = NbdClient.connect(uri(""));
                Arena arena = Arena.ofConfined()) {
            for (int i = 0; i < 3; i++) {
                assertThatThrownBy(() -> client.read(arena.allocate(512), 0))
                        .isInstanceOfSatisfying(
                                NbdException.class, e -> assertThat(e.error()).isEqualTo(Nbd.NBD_ENOMEM));
            }
            client.write(arena.allocate(512), 0, false);
        }
    }

    @Test
    void qemuNbdWithHolesInReads() throws IOException {
        Path image = image("holes.img", 16 << 20);
        try (RunningCommand server = qemuNbd("-f", "raw", "-x", "disk", image.toString());
                NbdClient client = NbdClient.connect(uri("disk"), STATUS);
                Arena arena = Arena.ofConfined()) {
            MemorySegment back = arena.allocate(16 << 20).fill((byte) 1);
            client.read(back, 0);
            assertThat(back.mismatch(arena.allocateFrom(ValueLayout.JAVA_BYTE, Files.readAllBytes(image))))
                    .isEqualTo(-1);
            exercise(client);
        }
    }

    @Test
    void nbdServer() throws IOException {
        Path image = image("disk.img", 16 << 20);
        try (RunningCommand server = nbdServer(image)) {
            try (NbdClient client = NbdClient.connect(uri("disk"))) {
                exercise(client);
            }
            assertThat(farsight("info", "--json", uri("disk"))).contains("\"size\": 16777216");
            assertThat(farsight("info", "--list", uri(""))).contains("disk");
            assertThat(refused("info", uri("none"))).contains("none");
            assertThat(refused("map", uri("disk"))).contains("does not have the metadata context 'base:allocation'");
        }
    }

    // ---- limits --------------------------------------------------------------------------------------------------

    @Test
    void anExportOf2To63Minus1Bytes() throws IOException {
        try (RunningCommand server = nbdkit("null", "9223372036854775807");
                NbdClient client = NbdClient.connect(uri(""), STATUS);
                Arena arena = Arena.ofConfined()) {
            assertThat(client.size()).isEqualTo(Long.MAX_VALUE);
            MemorySegment data = arena.allocate(4096);
            client.read(data, Long.MAX_VALUE - 4096);
            client.write(data, Long.MAX_VALUE - 4096, false);
            client.zero(Long.MAX_VALUE - (5L << 30), 5L << 30, true);
            client.trim(1L << 62, (1L << 32) + 1);
            List<Extent> extents = client.status(Long.MAX_VALUE - 4096, 4096).get(ClientOptions.ALLOCATION);
            assertThat(extents.get(0).offset()).isEqualTo(Long.MAX_VALUE - 4096);
            assertThatThrownBy(() -> client.read(data, Long.MAX_VALUE - 4095))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("2^63-1");
            assertThatThrownBy(() -> client.read(data, -1)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> client.trim(1, Long.MAX_VALUE)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void offsetsAround2To32And2To62AreRight() throws IOException {
        try (RunningCommand server = nbdkit("pattern", "9223372036854775807");
                NbdClient client = NbdClient.connect(uri(""));
                Arena arena = Arena.ofConfined()) {
            ValueLayout.OfLong big = ValueLayout.JAVA_LONG.withOrder(ByteOrder.BIG_ENDIAN);
            MemorySegment back = arena.allocate(1 << 20);
            for (long around : new long[] {1L << 31, 1L << 32, 1L << 33, 1L << 62}) {
                client.read(back, around - (1 << 19));
                for (long at = 0; at < back.byteSize(); at += 8) {
                    assertThat(back.get(big, at)).isEqualTo(around - (1 << 19) + at);
                }
            }
        }
    }

    @Test
    void extentsBeyond4GiBAreWhole() throws IOException {
        try (RunningCommand server = nbdkit("memory", "20G");
                NbdClient client = NbdClient.connect(uri(""), STATUS);
                Arena arena = Arena.ofConfined()) {
            client.write(random(arena, 65536), 17L << 30, false);
            List<Extent> extents = client.extents(ClientOptions.ALLOCATION, 0, 20L << 30);
            assertThat(extents).hasSize(3);
            assertThat(extents.get(0)).isEqualTo(new Extent(0, 17L << 30, 3));
            assertThat(extents.get(1).isZero()).isFalse();
            assertThat(extents.get(2).offset() + extents.get(2).length()).isEqualTo(20L << 30);
        }
    }

    @Test
    void ourServerWithExtendedHeaders() throws IOException {
        try (RunningCommand server = started(Commands.command(
                        Project.launcher().toString(),
                        "server",
                        "--export",
                        "disk=memory:12GiB",
                        "--listen",
                        "unix:" + socket()));
                NbdClient client = NbdClient.connect(uri("disk"), STATUS);
                Arena arena = Arena.ofConfined()) {
            assertThat(client.negotiated().extended()).isTrue();
            exercise(client);
            MemorySegment data = random(arena, 65536);
            client.write(data, (1L << 32) - 4096, false);
            client.write(data, 9L << 30, false);
            MemorySegment back = arena.allocate(65536);
            client.read(back, (1L << 32) - 4096);
            assertThat(back.mismatch(data)).isEqualTo(-1);
            client.zero(1L << 31, 9L << 30, true);
            client.read(back, 9L << 30);
            assertThat(back.mismatch(arena.allocate(65536))).isEqualTo(-1);
            client.trim(0, 12L << 30);
            assertThat(client.extents(ClientOptions.ALLOCATION, 0, 12L << 30))
                    .allSatisfy(extent -> assertThat(extent.isZero()).isTrue());
        }
    }

    @Test
    void ourServerTellsOfTheContextsThatAreChosen() throws IOException {
        ClientOptions both = ClientOptions.DEFAULT.withContexts(List.of(ClientOptions.ALLOCATION, "farsight:dirty"));
        try (RunningCommand server = started(Commands.command(
                        Project.launcher().toString(),
                        "server",
                        "--export",
                        "disk=memory:6GiB",
                        "--listen",
                        "unix:" + socket()));
                NbdClient client = NbdClient.connect(uri("disk"), both);
                Arena arena = Arena.ofConfined()) {
            assertThat(client.negotiated().flagNames()).contains("BLOCK_STATUS_PAYLOAD");
            client.write(random(arena, 65536), 5L << 30, false);
            for (MetaContext context : client.negotiated().contexts()) {
                assertThat(client.statusAsync(List.of(context), 0, 6L << 30).join())
                        .containsOnlyKeys(context.name());
            }
            assertThat(client.extents("farsight:dirty", 0, 6L << 30))
                    .containsExactly(
                            new Extent(0, 5L << 30, 0),
                            new Extent(5L << 30, 65536, 1),
                            new Extent((5L << 30) + 65536, (1L << 30) - 65536, 0));
        }
    }

    // ---- info and map --------------------------------------------------------------------------------------------

    private void sameAsNbdinfo(String uri) throws IOException {
        String ours = jq(
                farsight("info", "--json", uri),
                "[.size, .read_only, .multi_conn, .block_size.minimum, .block_size.preferred, (.contexts | sort)]");
        String theirs = jq(
                nbdinfo("--json", uri),
                ".exports[0] | [.\"export-size\", .is_read_only, .can_multi_conn, (.block_size_minimum // 1),"
                        + " (.block_size_preferred // 4096), (.contexts // [] | sort)]");
        assertThat(ours).isEqualTo(theirs);
    }

    private void sameMap(String context, String uri) throws IOException {
        String filter = "map(del(.description))";
        assertThat(jq(farsight("map", "--json", "--context", context, uri), filter))
                .isEqualTo(jq(nbdinfo("--map=" + context, "--json", uri), filter));
    }

    @Test
    void infoAndMapOfNbdkitAreNbdinfos() throws IOException {
        try (RunningCommand server = nbdkit("sparse-random", "256M", "seed=4", "percent=20")) {
            sameAsNbdinfo(uri(""));
            sameMap(ClientOptions.ALLOCATION, uri(""));
            assertThat(jq(farsight("map", "--json", uri("")), "length")).isNotEqualTo("1\n");
            assertThat(refused("map", "--context", "no:such", uri(""))).contains("'no:such'");
        }
    }

    @Test
    void infoAndMapOfQcow2WithBitmapAndDepthAreNbdinfos() throws IOException {
        Requires.tool("qemu-img", "qemu-utils");
        String base = directory.resolve("base.qcow2").toString();
        String image = directory.resolve("top.qcow2").toString();
        for (List<String> words : List.of(
                List.of("qemu-img", "create", "-q", "-f", "qcow2", base, "64M"),
                List.of("qemu-io", "-c", "write -P 1 3M 1M", base),
                List.of("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", image),
                List.of("qemu-img", "bitmap", "--add", "--enable", image, "b"),
                List.of("qemu-io", "-c", "write -P 2 20M 192k", image))) {
            Commands.command(words).run().expectSuccess();
        }
        try (RunningCommand server =
                qemuNbd("-f", "qcow2", "-x", "disk", "-D", "a chain", "-r", "-A", "-B", "b", image)) {
            sameAsNbdinfo(uri("disk"));
            for (String context : List.of(ClientOptions.ALLOCATION, "qemu:dirty-bitmap:b", "qemu:allocation-depth")) {
                sameMap(context, uri("disk"));
            }
            assertThat(farsight("map", "--context", "qemu:dirty-bitmap:b", uri("disk")))
                    .containsPattern("20971520 +196608 +1  dirty");
            assertThat(farsight("info", "--list", uri(""))).isEqualTo("disk\ta chain\n");
        }
    }

    // ---- copy ----------------------------------------------------------------------------------------------------

    /** Each way three connections, which copies of little do without. */
    @Test
    void whatIsLargeIsCopiedOverAllConnections() throws IOException {
        Path large = random("large.img", 64 << 20);
        Path small = random("small.img", 1 << 20);
        Path log = directory.resolve("requests.log");
        Path back = directory.resolve("back.img");
        try (RunningCommand server = nbdkit("--filter=log", "memory", "64M", "logfile=" + log)) {
            farsight("copy", "--connections=3", small.toString(), uri(""));
            farsight("copy", "--connections=3", large.toString(), uri(""));
            farsight("copy", "--connections=3", uri(""), back.toString());
            assertThat(Files.mismatch(large, back)).isEqualTo(-1);
        }
        // "connection=7 Write id=1 offset=...": the first is the start's of this test, then one, three and three.
        List<String> lines = Files.readAllLines(log);
        assertThat(connections(lines, "Write")).hasSize(1 + 3);
        assertThat(connections(lines, "Read")).hasSize(3);
    }

    private static Set<String> connections(List<String> log, String command) {
        return log.stream()
                .filter(line -> line.contains(" " + command + " id="))
                .map(line -> line.replaceFirst(".* (connection=\\d+) .*", "$1"))
                .collect(Collectors.toSet());
    }

    @ParameterizedTest
    @ValueSource(strings = {"--quiet", "--verify"})
    void copiesDoWithAsManyConnectionsAsTheServerTakes(String option) throws IOException {
        Path image = random("source.img", 64 << 20);
        Path back = directory.resolve("back.img");
        try (RunningCommand server = nbdkit("--filter=limit", "memory", "64M", "limit=2")) {
            farsight("copy", option, "--connections=4", image.toString(), uri(""));
            farsight("copy", option, "--connections=4", uri(""), back.toString());
            assertThat(Files.mismatch(image, back)).isEqualTo(-1);
        }
    }

    private Path random(String name, int size) throws IOException {
        byte[] content = new byte[size];
        new Random(11).nextBytes(content);
        return Files.write(directory.resolve(name), content);
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "memory --no-sr", "memory --filter=nozero", "memory --filter=blocksize-policy"})
    void copiesThroughAServerAndBackAreTheSame(String kind) throws IOException {
        Path image = image("source.img", (40 << 20) + 512);
        List<String> words = new ArrayList<>(List.of(kind.split(" ")));
        words.remove("memory");
        words.addAll(List.of("memory", String.valueOf((40 << 20) + 512)));
        if (kind.endsWith("policy")) {
            words.addAll(List.of("blocksize-minimum=512", "blocksize-maximum=1M", "blocksize-error-policy=error"));
        }
        Path back = directory.resolve("back.img");
        Path again = directory.resolve("again.img");
        Path plain = directory.resolve("plain.img");
        try (RunningCommand server = nbdkit(words.toArray(String[]::new))) {
            assertThat(farsight("copy", image.toString(), uri(""))).startsWith("farsight: copied 41943552 in ");
            Files.write(back, new byte[100 << 20]); // is replaced
            assertThat(farsight(
                            "copy", "--verify", "--connections=2", "--request-size=256KiB", uri(""), back.toString()))
                    .startsWith("farsight: copied and verified ");
            assertThat(farsight("copy", "--quiet", "--verify", back.toString(), again.toString()))
                    .isEmpty();
            // By the JDK's sockets and files: a verified one goes by native calls.
            for (int connections = 1; connections <= 4; connections++) {
                Files.write(plain, new byte[connections % 2 == 0 ? 100 << 20 : 1 << 20]); // is replaced
                farsight("copy", "--connections=" + connections, uri(""), plain.toString());
                assertThat(Files.mismatch(image, plain)).isEqualTo(-1);
            }
            if (!kind.contains("--no-sr")) {
                assertThat(blocks(plain)).isLessThan(10 << 20);
            }
        }
        assertThat(Files.mismatch(image, back)).isEqualTo(-1);
        assertThat(Files.mismatch(image, again)).isEqualTo(-1);
        if (kind.contains("--no-sr")) {
            return; // nobody told of the holes
        }
        assertThat(blocks(again)).isLessThan(10 << 20);
    }

    /** Bytes that a file takes of the disk. */
    private static long blocks(Path file) throws IOException {
        String said =
                Commands.command("stat", "-c", "%b", file.toString()).run().stdout();
        return Long.parseLong(said.strip()) * 512;
    }

    /** More pieces than are planned ahead, holes between them, and questions about those while every request is used. */
    @ParameterizedTest
    @ValueSource(
            strings = {"--requests=1 --connections=1", "--requests=1", "--requests=2 --connections=3", "--requests=16"})
    void aScatteredImageIsCopiedToAFile(String options) throws IOException {
        Path image = directory.resolve("source.img");
        Random random = new Random(options.hashCode());
        byte[] data = new byte[200 << 10];
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.setLength(200L << 30);
            for (long at = 0; at < 150; at++) {
                random.nextBytes(data);
                file.seek((at << 30) + (random.nextInt(1000) << 12));
                file.write(data);
            }
        }
        Path back = directory.resolve("back.img");
        List<String> words = new ArrayList<>(List.of("copy", "--quiet", "--request-size=64KiB"));
        words.addAll(List.of(options.split(" ")));
        words.addAll(List.of(uri(""), back.toString()));
        try (RunningCommand server = nbdkit("file", image.toString())) {
            farsight(words.toArray(String[]::new));
        }
        Commands.command("qemu-img", "compare", "-f", "raw", "-F", "raw", image.toString(), back.toString())
                .run()
                .expectSuccess();
    }

    /**
     * From a server that allows one connection, where data passes through a pipe or is written behind what is received;
     * both kinds of replies.
     */
    @ParameterizedTest
    @ValueSource(strings = {"", "--no-sr"})
    void aCopyFromASingleConnectionIsWholeOrSaysWhyNot(String style) throws IOException {
        byte[] data = random((20 << 20) + 512);
        Path image = Files.write(directory.resolve("source.img"), data);
        List<String> words = new ArrayList<>(List.of("--filter=multi-conn", "file", image.toString()));
        words.add("multi-conn-mode=disable");
        if (!style.isEmpty()) {
            words.add(0, style);
        }
        Path back = directory.resolve("back.img");
        try (RunningCommand server = nbdkit(words.toArray(String[]::new))) {
            assertThat(farsight("copy", "--verify", uri(""), back.toString())).startsWith("farsight: copied and");
            assertThat(Files.mismatch(image, back)).isEqualTo(-1);
            Path plain = directory.resolve("plain.img");
            farsight("copy", uri(""), plain.toString());
            assertThat(Files.mismatch(image, plain)).isEqualTo(-1);
            Path small = Files.createDirectory(directory.resolve("small"));
            for (String copy : List.of("copy", "copy --verify")) {
                String command = "mount -t tmpfs -o size=8m none " + small + " && exec " + Project.launcher() + " "
                        + copy + " '" + uri("") + "' " + small + "/back.img";
                assertThat(Commands.command("unshare", "--mount", "sh", "-c", command)
                                .run()
                                .expectExit(1)
                                .stderr())
                        .contains(small + "/back.img: cannot be written: No space left on device");
            }
        }
    }

    @Test
    void aFileThatCannotBeReplacedIsSaidToBeSo() throws IOException {
        Path image = image("source.img", 1 << 20);
        Path link = directory.resolve("link");
        try (RunningCommand server = nbdkit("file", image.toString())) {
            assertThat(refused("copy", uri(""), directory + "/none/back.img")).contains("/none/back.img: no such file");
            assertThat(refused("copy", uri(""), directory.toString())).contains("Is a directory (EISDIR)");
            Files.createSymbolicLink(link, directory.resolve("target.img"));
            farsight("copy", uri(""), link.toString());
            assertThat(Files.mismatch(image, directory.resolve("target.img"))).isEqualTo(-1);
        }
        // What was there is lost only when there is something to replace it with.
        Path kept = Files.write(directory.resolve("kept.img"), random(1000));
        assertThat(refused("copy", uri(""), kept.toString())).contains("cannot reach the server");
        assertThat(kept).hasSize(1000);
    }

    @Test
    void aCopyToAFileEndsWithTheFirstReadThatFails() throws IOException {
        Path image = image("source.img", 64 << 20);
        Files.write(image, random(64 << 20));
        String[] words = {"copy", "--request-size=64KiB", "--requests=4", uri(""), directory + "/back.img"};
        try (RunningCommand server =
                nbdkit("--filter=error", "file", image.toString(), "error-pread=EIO", "error-pread-rate=2%")) {
            assertThat(refused(words)).contains("NBD_CMD_READ failed: NBD_EIO");
        }
        Files.deleteIfExists(socket());
        try (RunningCommand server = nbdkit("--filter=delay", "file", image.toString(), "rdelay=500ms")) {
            List<String> command = new ArrayList<>(List.of(Project.launcher().toString()));
            command.addAll(List.of(words));
            try (RunningCommand copy = Commands.command(command).start()) {
                Thread.sleep(1500);
                Commands.command("kill", "-9", String.valueOf(server.pid()))
                        .run()
                        .expectSuccess();
                assertThat(copy.await(Duration.ofSeconds(30)).expectExit(1).stderr())
                        .contains("the server closed the connection");
            }
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** The answer that it waits for comes by the thread that hears of the failure. */
    @Test
    void aReadThatFailsWhileHolesAreAskedForEndsACopy() throws IOException {
        Path image = directory.resolve("source.img");
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.setLength(300L << 30); // more than is asked about at once
            file.write(random(1 << 20));
        }
        try (RunningCommand server = nbdkit(
                "--filter=error",
                "--filter=delay",
                "file",
                image.toString(),
                "error-pread=EIO",
                "error-pread-rate=100%",
                "rdelay=500ms",
                "delay-extents=2")) {
            assertThat(refused("copy", "--connections=1", uri(""), directory + "/back.img"))
                    .contains("NBD_CMD_READ failed: NBD_EIO");
            assertThat(refused("copy", "--connections=1", uri(""), "nbd+unix:///?socket=" + socket()))
                    .contains("NBD_CMD_READ failed: NBD_EIO");
        }
    }

    /** Of a server that takes whole blocks only, and says no to all else. */
    @Test
    void aCopyMayEndWithinABlockOfTheTarget() throws IOException {
        Path image = image("source.img", (8 << 20) + 1234);
        Path served = Files.write(directory.resolve("served.img"), random(9 << 20));
        byte[] before = Files.readAllBytes(served);
        try (RunningCommand server = nbdkit(
                "--filter=blocksize-policy",
                "file",
                served.toString(),
                "blocksize-minimum=4096",
                "blocksize-preferred=4096",
                "blocksize-maximum=1M",
                "blocksize-error-policy=error")) {
            farsight("copy", "--verify", image.toString(), uri(""));
        }
        byte[] after = Files.readAllBytes(served);
        byte[] expected = Files.readAllBytes(image);
        System.arraycopy(expected, 0, before, 0, expected.length);
        assertThat(java.util.Arrays.mismatch(after, before)).isEqualTo(-1);
    }

    private static byte[] random(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    @Test
    void copiesFromServerToServerAreTheSame() throws IOException {
        Path image = image("source.img", 24 << 20);
        Path other = image("other.img", 32 << 20);
        String served = "nbd+unix:///disk?socket=" + directory.resolve("other");
        try (RunningCommand server = nbdkit("file", image.toString());
                RunningCommand ours = Commands.command(
                                Project.launcher().toString(),
                                "server",
                                "--export",
                                "disk=file:" + other,
                                "--listen",
                                "unix:" + directory.resolve("other"))
                        .start()) {
            ours.awaitStdout(java.util.regex.Pattern.compile("serving nbd"), Duration.ofSeconds(30));
            farsight("copy", "--verify", uri(""), served);
        }
        assertThat(Files.mismatch(image, other)).isEqualTo(24 << 20); // the other is longer, and the same till there
    }

    @Test
    void copiesThatCannotBeAreRefused() throws IOException {
        Path image = image("source.img", 8 << 20);
        try (RunningCommand server = nbdkit("memory", "1M")) {
            assertThat(refused("copy", image.toString(), uri("")))
                    .contains("has 1048576 bytes, fewer than the 8388608 of " + image);
        }
        Files.deleteIfExists(socket());
        try (RunningCommand server = nbdkit("-r", "memory", "8M")) {
            assertThat(refused("copy", image.toString(), uri(""))).contains("read-only");
        }
        Files.deleteIfExists(socket());
        try (RunningCommand server = nbdkit("null", "8M")) {
            assertThat(refused("copy", "--verify", image.toString(), uri("")))
                    .contains("differs from " + image + " at offset ");
        }
        Files.deleteIfExists(socket());
        try (RunningCommand server =
                nbdkit("--filter=error", "memory", "8M", "error-pwrite=ENOSPC", "error-pwrite-rate=100%")) {
            assertThat(refused("copy", image.toString(), uri(""))).contains("NBD_CMD_WRITE failed: NBD_ENOSPC");
        }
        assertThat(refused("copy", image.toString(), image.toString())).contains("is the same file");
        assertThat(image).hasSize(8 << 20);
        assertThat(refused("copy", directory + "/none", image.toString())).contains("no such file");
        assertThat(refused("copy", "/dev/zero", directory + "/zero"))
                .contains("neither a regular file nor a block device");
    }
}

package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import farsight.tools.WireClient;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Exports with layers, from the packaged server, by other people's clients. */
class LayersServedTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final Pattern READY = Pattern.compile("serving nbd\\+unix://");
    private static final int SIZE = 16 << 20;

    @TempDir
    Path folder;

    private Path base;
    private RunningCommand server;

    @BeforeEach
    void makeBase() throws IOException {
        base = folder.resolve("base.img");
        byte[] content = new byte[SIZE];
        new Random(1).nextBytes(content);
        Files.write(base, content);
    }

    @AfterEach
    void stop() {
        if (server != null) {
            server.close();
        }
    }

    private void serve(String layers) throws IOException {
        Path file = folder.resolve("server.toml");
        Files.writeString(file, """
            [server]
            unix = "%1$s/nbd"
            [exports.disk]
            backend = "file"
            path = "%2$s"
            layers = [%3$s]
            [exports.plain]
            backend = "memory"
            size = "1MiB"
            """.formatted(folder, base, layers));
        server = Commands.command(Project.launcher().toString(), "server", file.toString())
                .start();
        server.awaitStdout(READY, LIMIT);
    }

    private String overlay(String name) {
        return "{ layer = \"overlay\", path = \"%s/%s\" }".formatted(folder, name);
    }

    private String uri(String export) {
        return "nbd+unix:///" + export + "?socket=" + folder.resolve("nbd");
    }

    private static String run(String... words) {
        return Commands.command(words).limit(LIMIT).run().expectSuccess().stdout();
    }

    /** Runs Python with a handle {@code h} that is not connected. */
    private static String python(String script) {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        return run("/usr/bin/python3", "-c", "import nbd\nh = nbd.NBD()\n" + script);
    }

    private static String farsight(String... words) {
        String[] all = new String[words.length + 1];
        all[0] = Project.launcher().toString();
        System.arraycopy(words, 0, all, 1, words.length);
        return run(all);
    }

    private void terminate() {
        server.terminate();
        server.await(LIMIT);
        server = null;
    }

    @Test
    void aChainOfOverlaysTellsWhereDataComesFrom() throws IOException {
        Requires.tool("nbdinfo", "libnbd-bin");
        Requires.tool("qemu-io", "qemu-utils");
        serve(overlay("a.cow"));
        run("qemu-io", "-f", "raw", "-c", "write 1M 64k", "-c", "flush", uri("disk"));
        terminate();
        String chain = overlay("a.cow").replace(" }", ", read_only = true }") + ", " + overlay("b.cow");
        serve(chain);
        run("qemu-io", "-f", "raw", "-c", "write 2M 64k", "-c", "write -z -u 3M 64k", "-c", "flush", uri("disk"));
        assertThat(run("nbdinfo", "--map=farsight:depth", uri("disk"))
                        .replaceAll(" +", " ")
                        .strip())
                .isEqualTo("""
                    0 1048576 3
                     1048576 65536 2
                     1114112 983040 3
                     2097152 65536 1
                     2162688 983040 3
                     3145728 65536 1
                     3211264 13565952 3\
                    """);
        assertThat(run("nbdinfo", "--map", uri("disk"))).contains("hole,zero");
        assertThat(run("nbdinfo", uri("disk"))).contains("farsight:depth");
        assertThat(run("nbdinfo", uri("plain")))
                .doesNotContain("farsight:depth")
                .contains("farsight:dirty");
    }

    @Test
    void depthIsWhatACallbackIsTold() throws IOException {
        try (RandomAccessFile sparse = new RandomAccessFile(base.toFile(), "rw")) {
            sparse.setLength(0);
            sparse.setLength(SIZE);
            sparse.seek(4 << 20);
            sparse.write(new byte[64 << 10]);
        }
        serve(overlay("a.cow"));
        String script = """
            h.add_meta_context("farsight:depth")
            h.set_export_name("disk")
            h.connect_unix("%s")
            print(h.can_meta_context("farsight:depth"), h.can_meta_context("base:allocation"))
            h.pwrite(b"x" * (64 << 10), 1 << 20)
            def tell(context, offset, entries, error):
                print(context, offset, list(entries), error.value)
            h.block_status(8 << 20, 0, tell)
            h.block_status(64 << 10, (1 << 20) + 4096, tell, nbd.CMD_FLAG_REQ_ONE)
            """;
        assertThat(python(script.formatted(folder.resolve("nbd")))).isEqualTo("""
            True False
            farsight:depth 0 [1048576, 0, 65536, 1, 3080192, 0, 65536, 2, 4128768, 0] 0
            farsight:depth 1052672 [61440, 1] 0
            """);
    }

    @Test
    void oneRequestIsAnsweredForEveryContextThatWasAgreedOn() throws IOException {
        serve(overlay("a.cow"));
        String script = """
            h.add_meta_context("base:allocation")
            h.add_meta_context("farsight:depth")
            h.add_meta_context("farsight:dirty")
            h.set_export_name("disk")
            h.connect_unix("%s")
            h.zero(64 << 10, 1 << 20)
            answers = {}
            def note(context, offset, entries, error):
                answers.setdefault(context, []).append((offset, list(entries)))
            h.block_status(2 << 20, 0, note)
            for context in sorted(answers):
                print(context, answers[context])
            answers = {}
            h.block_status(2 << 20, 1 << 20, note, nbd.CMD_FLAG_REQ_ONE)
            for context in sorted(answers):
                print(context, answers[context])
            """;
        assertThat(python(script.formatted(folder.resolve("nbd")))).isEqualTo("""
            base:allocation [(0, [1048576, 0, 65536, 3, 983040, 0])]
            farsight:depth [(0, [1048576, 2, 65536, 1, 983040, 2])]
            farsight:dirty [(0, [1048576, 0, 65536, 1, 983040, 0])]
            base:allocation [(1048576, [65536, 3])]
            farsight:depth [(1048576, [65536, 1])]
            farsight:dirty [(1048576, [65536, 1])]
            """);
    }

    /** By our own client: libnbd speaks extended headers from 1.18 on, and Debian 12 has 1.14. */
    @Test
    void withExtendedHeadersAllContextsAreAnsweredToo() throws IOException {
        serve(overlay("a.cow"));
        List<String> contexts = List.of("base:allocation", "farsight:depth", "farsight:dirty");
        try (WireClient client = WireClient.unix(folder.resolve("nbd"))
                .extended()
                .contexts("disk", contexts.toArray(String[]::new))
                .go("disk")) {
            assertThat(client.errorOf(0, WireClient.WRITE_ZEROES, 1 << 20, 64 << 10))
                    .isZero();
            List<WireClient.Chunk> chunks = client.request(0, WireClient.BLOCK_STATUS, 0, 2 << 20);
            assertThat(chunks).allMatch(chunk -> chunk.type() == WireClient.STATUS_EXT);
            assertThat(chunks.stream().map(WireClient.Chunk::extents))
                    .containsExactlyInAnyOrder(
                            List.of(1L << 20, 0L, 64L << 10, 3L, 960L << 10, 0L),
                            List.of(1L << 20, 2L, 64L << 10, 1L, 960L << 10, 2L),
                            List.of(1L << 20, 0L, 64L << 10, 1L, 960L << 10, 0L));
            assertThat(chunks.stream().map(WireClient.Chunk::context).distinct())
                    .hasSize(contexts.size());
        }
    }

    @Test
    void contextsAreListedByWhatIsAskedFor() throws IOException {
        serve(overlay("a.cow"));
        String script = """
            h.set_opt_mode(True)
            h.connect_unix("%s")
            def listed(*queries):
                names = []
                h.clear_meta_contexts()
                for query in queries:
                    h.add_meta_context(query)
                h.opt_list_meta_context(names.append)
                return sorted(names)
            for export in ("disk", "plain"):
                h.set_export_name(export)
                print(listed(), listed("base:"), listed("farsight:"), listed("base:", "farsight:"), listed("other:"))
            h.opt_abort()
            """;
        assertThat(python(script.formatted(folder.resolve("nbd")))).isEqualTo("""
            ['base:allocation', 'farsight:depth', 'farsight:dirty'] ['base:allocation'] \
            ['farsight:depth', 'farsight:dirty'] ['base:allocation', 'farsight:depth', 'farsight:dirty'] []
            ['base:allocation', 'farsight:dirty'] ['base:allocation'] ['farsight:dirty'] \
            ['base:allocation', 'farsight:dirty'] []
            """);
    }

    @Test
    void whatIsCommittedIsInTheImageAndWhatIsDiscardedIsNot() throws IOException {
        Requires.tool("qemu-img", "qemu-utils");
        Requires.tool("nbdcopy", "libnbd-bin");
        byte[] before = Files.readAllBytes(base);
        serve(overlay("cow"));
        byte[] written = new byte[SIZE];
        new Random(2).nextBytes(written);
        Path source = Files.write(folder.resolve("written.img"), written);
        run("nbdcopy", "--flush", source.toString(), uri("disk"));
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", source.toString(), uri("disk"));
        terminate();
        assertThat(Files.readAllBytes(base)).isEqualTo(before);
        String cow = folder.resolve("cow").toString();
        assertThat(farsight("overlay", "info", cow)).contains("blocks: 256 of 256");
        assertThat(farsight("overlay", "commit", cow, base.toString())).startsWith("256 blocks written");
        assertThat(Files.readAllBytes(base)).isEqualTo(written);
        assertThat(farsight("overlay", "discard", cow)).startsWith("0 blocks");
    }

    /** Servers may have no way to make all of what they were sent stable, or none at all. */
    @Test
    void aCommitToAServerIsStableOrIsRefused() throws IOException {
        Requires.tool("nbdkit", "nbdkit");
        serve(overlay("cow"));
        run("qemu-io", "-f", "raw", "-c", "write -P 7 1M 192k", "-c", "flush", uri("disk"));
        terminate();
        String cow = folder.resolve("cow").toString();
        byte[] before = Files.readAllBytes(base);
        Path log = folder.resolve("log");
        for (String fua : List.of("none", "native")) {
            String write = "echo \"$5\" >> '%2$s'; dd of='%1$s' seek=$4 oflag=seek_bytes conv=notrunc status=none";
            String[] words = {
                "nbdkit",
                "-U",
                "-",
                "--run",
                Project.launcher() + " overlay commit '" + cow + "' \"$uri\"",
                "eval",
                "get_size=stat -c %s '" + base + "'",
                "pread=dd if='" + base + "' skip=$4 count=$3 iflag=skip_bytes,count_bytes status=none",
                "pwrite=" + write.formatted(base, log),
                "can_write=exit 0",
                "can_flush=exit 3",
                "can_fua=echo " + fua
            };
            Commands.Result result = Commands.command(words).run();
            if (fua.equals("none")) {
                assertThat(result.expectExit(1).stderr()).contains("neither NBD_FLAG_SEND_FLUSH nor");
                assertThat(log).doesNotExist();
                assertThat(Files.readAllBytes(base)).isEqualTo(before);
            } else {
                assertThat(result.expectSuccess().stdout()).startsWith("3 blocks written");
                assertThat(Files.readAllLines(log)).hasSize(3).allMatch(flags -> flags.contains("fua"));
            }
        }
        Arrays.fill(before, 1 << 20, (1 << 20) + (192 << 10), (byte) 7);
        assertThat(Files.readAllBytes(base)).isEqualTo(before);
        assertThat(farsight("overlay", "info", cow)).contains("blocks: 0 of 256");
    }

    @Test
    void layersAddUpUnderLoadThatIsVerified() throws IOException {
        Requires.tool("fio", "fio");
        serve("{ layer = \"partition\", offset = \"1MiB\", size = \"8MiB\" }, { layer = \"cache\", size = \"1MiB\" }, "
                + overlay("cow") + ", { layer = \"delay\", write = \"1ms\" }, { layer = \"rate\", iops = 20000 }");
        run(
                "fio",
                "--name=layers",
                "--ioengine=nbd",
                "--uri=" + uri("disk"),
                "--rw=randwrite",
                "--bs=4k",
                "--iodepth=16",
                "--size=8m",
                "--verify=crc32c",
                "--do_verify=1",
                "--fsync=64",
                "--verify_state_save=0",
                "--randrepeat=0");
    }

    @Test
    void whatWasAcknowledgedAsStableSurvivesAKilledServer() throws Exception {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        serve(overlay("cow"));
        String connect = "import nbd, struct\nh = nbd.NBD()\nh.connect_uri('" + uri("disk") + "')\n"
                + "def at(i): return (i * 1237 % 4096) * 4096\n"
                + "def block(i): return struct.pack('<I', i) * 1024\n";
        String write = connect + """
            for i in range(4096):
                if i % 5:
                    h.pwrite(block(i), at(i), nbd.CMD_FLAG_FUA)
                else:
                    h.pwrite(block(i), at(i))
                    h.flush()
                print('done', i, flush=True)
            """;
        try (RunningCommand writer =
                Commands.command("/usr/bin/python3", "-c", write).start()) {
            writer.awaitStdout(Pattern.compile("done 300\\n"), LIMIT);
            ProcessHandle process = ProcessHandle.of(server.pid()).orElseThrow();
            assertThat(process.destroyForcibly()).isTrue();
            process.onExit().get(30, TimeUnit.SECONDS);
            String[] lines = writer.await(LIMIT).stdout().split("\n");
            int last = Integer.parseInt(lines[lines.length - 1].substring("done ".length()));
            server.close();
            serve(overlay("cow"));
            String check = connect + """
                base = open('%s', 'rb').read()
                for i in range(%d + 1):
                    assert h.pread(4096, at(i)) == block(i), i
                for i in range(%d + 2, 4096):
                    assert h.pread(4096, at(i)) == base[at(i):at(i) + 4096], i
                print('all', i)
                """.formatted(base, last, last);
            assertThat(run("/usr/bin/python3", "-c", check)).isEqualTo("all 4095\n");
        }
    }
}

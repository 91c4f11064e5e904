package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Requires;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each feature of the protocol that other people's clients know, used by them. */
class FeaturesTest {
    private static final Duration LONG = Duration.ofSeconds(120);

    @TempDir
    static Path directory;

    static ServedExports served;

    @BeforeAll
    static void serve() throws IOException {
        served = new ServedExports(directory);
        Path root = Files.createDirectory(directory.resolve("root"));
        try (RandomAccessFile file =
                new RandomAccessFile(root.resolve("listed.img").toFile(), "rw")) {
            file.setLength(1 << 20);
        }
    }

    @AfterAll
    static void stop() throws IOException {
        if (served != null) {
            served.close();
        }
    }

    private static String run(String... words) {
        return Commands.command(List.of(words))
                .limit(LONG)
                .run()
                .expectSuccess()
                .stdout();
    }

    private static String nbdinfo(String... words) {
        Requires.tool("nbdinfo", "libnbd-bin");
        return run(Stream.concat(Stream.of("nbdinfo"), Stream.of(words)).toArray(String[]::new));
    }

    /** Runs Python with {@code errno_of(call)} and a handle {@code h} that knows all contexts of an export. */
    private static String nbdsh(String export, String script) {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        String prelude = """
            import nbd, errno
            def errno_of(call):
                try:
                    call()
                except nbd.Error as e:
                    return e.errno or "refused"
                return "OK"
            h = nbd.NBD()
            h.set_strict_mode(0)
            h.add_meta_context("base:allocation")
            h.add_meta_context("farsight:dirty")
            h.set_export_name("%s")
            h.connect_unix("%s")
            def map_of(context, length, offset, flags=0):
                seen = []
                def extents(name, at, entries, error):
                    if name == context:
                        seen.extend(entries)
                h.block_status(length, offset, extents, flags)
                return seen
            """.formatted(export, served.socket());
        return run("/usr/bin/python3", "-c", prelude + script).strip();
    }

    @Test
    void nbdinfoShowsWhatMemoryOffers() {
        assertThat(nbdinfo("--json", served.uri("unix", "memory")))
                .contains("\"protocol\": \"newstyle-fixed\"")
                .contains("\"structured\": true")
                .contains("\"description\": \"64MiB of memory\"")
                .contains("\"base:allocation\"")
                .contains("\"farsight:dirty\"")
                .contains("\"is_rotational\": false")
                .contains("\"can_cache\": true")
                .contains("\"can_df\": true")
                .contains("\"can_fast_zero\": true")
                .contains("\"can_fua\": true")
                .contains("\"can_multi_conn\": true")
                .contains("\"can_trim\": true")
                .contains("\"can_zero\": true")
                .contains("\"block_size_minimum\": 1")
                .contains("\"block_size_preferred\": 4096")
                .contains("\"block_size_maximum\": 67108864");
    }

    @Test
    void nbdinfoShowsWhatAReadOnlyExportDoesNotOffer() {
        assertThat(nbdinfo("--json", served.uri("unix", "frozen")))
                .contains("\"is_read_only\": true")
                .contains("\"can_trim\": false")
                .contains("\"can_zero\": false")
                .contains("\"can_flush\": false")
                .contains("\"can_fast_zero\": false");
    }

    @Test
    void nbdinfoListsWhatBackendsCanList() {
        assertThat(nbdinfo("--list", "--json", served.uri("unix", "")))
                .contains("\"export-name\": \"memory\"")
                .contains("\"export-name\": \"file:listed.img\"");
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "file"})
    void nbdinfoMapsHolesAndChanges(String export) {
        nbdsh(export, """
            h.trim(h.get_size(), 0)
            h.pwrite(b"x" * 65536, 1 << 20)
            """);
        String uri = served.uri("unix", export);
        assertThat(nbdinfo("--map", uri).lines().map(line -> line.strip().replaceAll(" +", " ")))
                .containsExactly("0 1048576 3 hole,zero", "1048576 65536 0 data", "1114112 65994752 3 hole,zero");
        assertThat(nbdinfo("--map=farsight:dirty", uri).strip().replaceAll(" +", " "))
                .isEqualTo("0 67108864 1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "file"})
    void libnbdSeesHolesInReadsAndOneChunkWhenItAsksForThat(String export) {
        assertThat(nbdsh(export, """
            h.trim(h.get_size(), 0)
            h.pwrite(b"x" * 65536, 1 << 20)
            def chunks(flags):
                seen = []
                def chunk(data, offset, status, error):
                    seen.append((offset, len(data), status))
                data = h.pread_structured(3 << 20, 0, chunk, flags)
                assert data == b"\\0" * (1 << 20) + b"x" * 65536 + b"\\0" * ((2 << 20) - 65536)
                return seen
            print(chunks(0) == [(0, 1 << 20, nbd.READ_HOLE), (1 << 20, 65536, nbd.READ_DATA),
                                ((1 << 20) + 65536, (2 << 20) - 65536, nbd.READ_HOLE)])
            print(chunks(nbd.CMD_FLAG_DF) == [(0, 3 << 20, nbd.READ_DATA)])
            """)).isEqualTo("True\nTrue");
    }

    @Test
    void libnbdGetsBothContextsAndOneExtentWhenItAsksForThat() {
        assertThat(nbdsh("memory", """
            h.trim(h.get_size(), 0)
            h.pwrite(b"x", 5 << 20)
            print(map_of("base:allocation", 6 << 20, 0))
            print(map_of("base:allocation", 6 << 20, 0, nbd.CMD_FLAG_REQ_ONE))
            print(map_of("farsight:dirty", 65536, 5 << 20))
            """)).isEqualTo("[5242880, 3, 65536, 0, 983040, 3]\n[5242880, 3]\n[65536, 1]");
    }

    @Test
    void libnbdZeroesFastWithAndWithoutHoles() {
        assertThat(nbdsh("memory", """
            h.pwrite(b"x" * (1 << 20), 0)
            print(errno_of(lambda: h.zero(1 << 19, 0, nbd.CMD_FLAG_FAST_ZERO)))
            print(errno_of(lambda: h.zero(1 << 19, 1 << 19, nbd.CMD_FLAG_NO_HOLE)))
            print(map_of("base:allocation", 1 << 20, 0))
            print(h.pread(1 << 20, 0) == b"\\0" * (1 << 20))
            """)).isEqualTo("OK\nOK\n[524288, 3, 524288, 0]\nTrue");
    }

    @Test
    void everyErrorReachesLibnbdAsItself() {
        assertThat(nbdsh("memory", """
            size = h.get_size()
            def status(length, offset):
                return h.block_status(length, offset, lambda *a: 0)
            print(errno_of(lambda: h.pread(2, size - 1)), errno_of(lambda: h.cache(2, size - 1)))
            print(errno_of(lambda: h.trim(2, size - 1)), errno_of(lambda: status(2, size - 1)))
            print(errno_of(lambda: h.pwrite(b"xx", size - 1)), errno_of(lambda: h.zero(2, size - 1)))
            print(errno_of(lambda: h.flush(0x40)), errno_of(lambda: h.cache(1, 0, nbd.CMD_FLAG_DF)))
            print(errno_of(lambda: h.pread(1, 0, nbd.CMD_FLAG_FUA)))
            """)).isEqualTo("EINVAL EINVAL\nEINVAL EINVAL\nENOSPC ENOSPC\nEINVAL EINVAL\nOK");
        assertThat(nbdsh("frozen", """
            print(errno_of(lambda: h.pwrite(b"x", 0)), errno_of(lambda: h.zero(1, 0)), errno_of(lambda: h.trim(1, 0)))
            """)).isEqualTo("EPERM EPERM EPERM");
    }

    @Test
    void aFileThatIsCutBelowTheServerGivesEioAndTheConnectionLives() throws IOException {
        Path victim = directory.resolve("root").resolve("victim.img");
        Files.write(victim, new byte[1 << 20]);
        assertThat(nbdsh("file:victim.img", """
            import os
            os.truncate("%s", 4096)
            print(errno_of(lambda: h.pread(4096, 8192)), errno_of(lambda: h.pread(4096, 0)))
            """.formatted(victim))).isEqualTo("EIO OK");
    }

    @Test
    void libnbdCachesFiles() {
        assertThat(nbdsh("file", "print(h.can_cache(), errno_of(lambda: h.cache(h.get_size(), 0)))"))
                .isEqualTo("True OK");
    }

    @Test
    void aRotatingDiskIsSaidToRotate() throws IOException {
        Path queue = Path.of("/sys/block/" + served.loopName() + "/queue/rotational");
        String before = Files.readString(queue);
        try {
            for (String rotational : new String[] {"1", "0"}) {
                Files.writeString(queue, rotational);
                assertThat(nbdinfo("--json", served.uri("unix", "loop")))
                        .contains("\"is_rotational\": " + rotational.equals("1"));
            }
        } finally {
            Files.writeString(queue, before);
        }
    }

    @Test
    void nbdcopyKeepsHoles() throws IOException {
        Requires.tool("nbdcopy", "libnbd-bin");
        nbdsh("memory", """
            h.trim(h.get_size(), 0)
            h.pwrite(b"y" * 65536, 8 << 20)
            """);
        Path copy = directory.resolve("sparse.img");
        run("nbdcopy", served.uri("unix", "memory"), copy.toString());
        assertThat(Files.size(copy)).isEqualTo(ServedExports.SIZE);
        String used = run("du", "--block-size=1", copy.toString()).split("\t")[0];
        assertThat(Long.parseLong(used)).isLessThan(1 << 20);
        run("nbdcopy", copy.toString(), served.uri("unix", "file"));
        assertThat(nbdinfo("--map", served.uri("unix", "file")))
                .contains("8388608")
                .contains("hole,zero");
    }

    @Test
    void qemuMapsHolesAndZeroesFast() {
        Requires.tool("qemu-img", "qemu-utils");
        String uri = served.uri("unix", "memory");
        run("qemu-io", "-f", "raw", "-d", "unmap", "-c", "discard 0 64M", "-c", "write -P 9 2M 64k", uri);
        assertThat(run("qemu-img", "map", "-f", "raw", "--output=json", uri).replaceAll("\\s+", " "))
                .contains("\"start\": 0, \"length\": 2097152, \"depth\": 0, \"present\": true, \"zero\": true,"
                        + " \"data\": false")
                .contains("\"start\": 2097152, \"length\": 65536, \"depth\": 0, \"present\": true, \"zero\": false,"
                        + " \"data\": true");
        String zeroed =
                run("qemu-io", "-f", "raw", "-d", "unmap", "-c", "write -z -n -u 2M 64k", "-c", "read -P 0 0 4M", uri);
        assertThat(zeroed).doesNotContain("failed");
    }

    @Test
    void nbdkitInFrontPassesHolesThrough() {
        Requires.tool("nbdkit", "nbdkit");
        nbdsh("file", """
            h.trim(h.get_size(), 0)
            h.pwrite(b"x" * 65536, 1 << 20)
            """);
        String map =
                run("nbdkit", "-U", "-", "nbd", "uri=" + served.uri("tcp4", "file"), "--run", "nbdinfo --map \"$uri\"");
        assertThat(map.lines().map(line -> line.strip().replaceAll(" +", " ")))
                .containsExactly("0 1048576 3 hole,zero", "1048576 65536 0 data", "1114112 65994752 3 hole,zero");
    }

    @Test
    void nbdClientListsNamesOfBackends() {
        Requires.tool("nbd-client", "nbd-client");
        assertThat(Commands.command("nbd-client", "-l", "127.0.0.1", String.valueOf(served.port()))
                        .run()
                        .stdout())
                .contains("file:listed.img");
    }
}

package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Requires;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The NBD clients that people use, on every kind of export over every transport. */
class ClientsTest {
    private static final Duration LONG = Duration.ofSeconds(120);

    @TempDir
    static Path directory;

    static ServedExports served;
    static Path image;

    @BeforeAll
    static void serve() throws IOException {
        served = new ServedExports(directory);
        // Half random data, half holes: what a disk image looks like.
        image = directory.resolve("source.img");
        byte[] block = new byte[1 << 20];
        Random random = new Random(1);
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.setLength(ServedExports.SIZE);
            for (long at = 0; at < ServedExports.SIZE; at += 2L * block.length) {
                random.nextBytes(block);
                file.seek(at);
                file.write(block);
            }
        }
    }

    @AfterAll
    static void stop() throws IOException {
        if (served != null) {
            served.close();
        }
    }

    static Stream<Arguments> everywhere() {
        return Stream.of("memory", "file", "loop")
                .flatMap(export -> Stream.of("tcp4", "tcp6", "unix").map(transport -> Arguments.of(transport, export)));
    }

    @ParameterizedTest
    @MethodSource("everywhere")
    void fioVerifiesRandomWritesAtDepth32(String transport, String export) {
        fio(served.uri(transport, export), "--rw=randwrite", "--bsrange=4k-256k", "--size=48m");
    }

    @ParameterizedTest
    @MethodSource("everywhere")
    void fioVerifiesLargeRequests(String transport, String export) {
        // 3 MiB is more than a piece, so it goes through the device in several.
        fio(served.uri(transport, export), "--rw=write", "--bs=3m", "--size=48m");
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "file", "loop"})
    void fioVerifiesUnalignedRequests(String export) {
        fio(served.uri("unix", export), "--rw=randwrite", "--bsrange=512-5k", "--bs_unaligned", "--size=4m");
    }

    private static void fio(String uri, String... options) {
        Requires.tool("fio", "fio");
        Commands.command(Stream.concat(
                                Stream.of(
                                        "fio",
                                        "--name=verify",
                                        "--ioengine=nbd",
                                        "--uri=" + uri,
                                        "--iodepth=32",
                                        "--verify=crc32c",
                                        "--verify_fatal=1",
                                        "--do_verify=1",
                                        "--randseed=7"),
                                Stream.of(options))
                        .toList())
                .directory(directory)
                .limit(LONG)
                .run()
                .expectSuccess();
    }

    @ParameterizedTest
    @MethodSource("everywhere")
    void nbdcopyWithFourConnectionsBringsEverythingThereAndBack(String transport, String export) throws IOException {
        Requires.tool("nbdcopy", "libnbd-bin");
        String uri = served.uri(transport, export);
        Path back = directory.resolve("nbdcopy.img");
        nbdcopy(image.toString(), uri);
        nbdcopy(uri, back.toString());
        assertThat(Files.mismatch(image, back)).isEqualTo(-1);
        Files.delete(back);
    }

    private static void nbdcopy(String from, String to) {
        Commands.command("nbdcopy", "--connections=4", "--requests=64", "--flush", from, to)
                .limit(LONG)
                .run()
                .expectSuccess();
    }

    @ParameterizedTest
    @MethodSource("everywhere")
    void qemuImgConvertsAndCompares(String transport, String export) {
        Requires.tool("qemu-img", "qemu-utils");
        String uri = served.uri(transport, export);
        qemuImg("convert", "-n", "-f", "raw", "-O", "raw", image.toString(), uri);
        qemuImg("compare", "-f", "raw", "-F", "raw", image.toString(), uri);
        Path back = directory.resolve("back.qcow2");
        qemuImg("convert", "-f", "raw", "-O", "qcow2", uri, back.toString());
        qemuImg("compare", "-f", "raw", "-F", "qcow2", image.toString(), back.toString());
    }

    private static void qemuImg(String... words) {
        Commands.command(Stream.concat(Stream.of("qemu-img"), Stream.of(words)).toList())
                .limit(LONG)
                .run()
                .expectSuccess();
    }

    @ParameterizedTest
    @MethodSource("everywhere")
    void qemuIoWritesPatternsZeroesAndHoles(String transport, String export) {
        Requires.tool("qemu-io", "qemu-utils");
        String result = Commands.command(
                        "qemu-io",
                        "-f",
                        "raw",
                        "-d",
                        "unmap",
                        "-c",
                        "write -P 0xa5 1M 2M",
                        "-c",
                        "write -f -P 0x5a 1536k 4k",
                        "-c",
                        "write -P 0x77 1052673 511",
                        "-c",
                        "write -z 2M 64k",
                        "-c",
                        "write -z -u 2176k 64k",
                        "-c",
                        "discard 2560k 64k",
                        "-c",
                        "flush",
                        "-c",
                        "read -P 0xa5 1M 4097",
                        "-c",
                        "read -P 0x77 1052673 511",
                        "-c",
                        "read -P 0xa5 1053184 507k",
                        "-c",
                        "read -P 0x5a 1536k 4k",
                        "-c",
                        "read -P 0 2M 64k",
                        "-c",
                        "read -P 0xa5 2112k 64k",
                        "-c",
                        "read -P 0 2176k 64k",
                        "-c",
                        "read -P 0xa5 2240k 320k",
                        "-c",
                        "aio_write -P 0x11 4M 1M",
                        "-c",
                        "aio_write -P 0x22 5M 1M",
                        "-c",
                        "aio_flush",
                        "-c",
                        "read -P 0x11 4M 1M",
                        "-c",
                        "read -P 0x22 5M 1M",
                        served.uri(transport, export))
                .run()
                .expectSuccess()
                .stdout();
        assertThat(result).doesNotContain("verification failed").doesNotContain("failed:");
    }

    @ParameterizedTest
    @ValueSource(strings = {"tcp4", "tcp6", "unix"})
    void nbdinfoReadsWhatIsOffered(String transport) {
        Requires.tool("nbdinfo", "libnbd-bin");
        String json = Commands.command("nbdinfo", "--json", served.uri(transport, "file"))
                .run()
                .expectSuccess()
                .stdout();
        assertThat(json)
                .contains("\"export-size\": " + ServedExports.SIZE)
                .contains("\"is_read_only\": false")
                .contains("\"can_flush\": true")
                .contains("\"can_fua\": true")
                .contains("\"can_multi_conn\": true")
                .contains("\"can_trim\": true")
                .contains("\"can_zero\": true")
                .contains("\"block_size_minimum\": 1")
                .contains("\"block_size_maximum\": 67108864");
    }

    @Test
    void nbdinfoListsTheExportsOfTheConfigurationFile() {
        Requires.tool("nbdinfo", "libnbd-bin");
        String list = Commands.command("nbdinfo", "--list", served.uri("unix", ""))
                .run()
                .expectSuccess()
                .stdout();
        assertThat(list)
                .contains("export=\"memory\"")
                .contains("export=\"file\"")
                .contains("export=\"loop\"")
                .contains("export=\"frozen\"");
    }

    @Test
    void nbdClientListsTheExports() {
        Requires.tool("nbd-client", "nbd-client");
        String list = Commands.command("nbd-client", "-l", "127.0.0.1", String.valueOf(served.port()))
                .run()
                .stdout();
        assertThat(list).contains("memory").contains("loop");
    }

    @Test
    void nbdkitInFrontPassesEverythingThrough() throws IOException {
        Requires.tool("nbdkit", "nbdkit");
        Path back = directory.resolve("through-nbdkit.img");
        String run = "nbdcopy " + image + " \"$uri\" && nbdcopy \"$uri\" " + back;
        Commands.command("nbdkit", "-U", "-", "nbd", "uri=" + served.uri("tcp4", "memory"), "--run", run)
                .limit(LONG)
                .run()
                .expectSuccess();
        assertThat(Files.mismatch(image, back)).isEqualTo(-1);
    }

    @Test
    void ourOwnInfoSaysTheSame() {
        String launcher = farsight.tools.Project.launcher().toString();
        String json = Commands.command(launcher, "info", "--json", served.uri("tcp6", "frozen"))
                .run()
                .expectSuccess()
                .stdout();
        assertThat(json).contains("\"size\": 1048576").contains("\"read_only\": true");
        String list = Commands.command(launcher, "info", "--list", served.uri("unix", ""))
                .run()
                .expectSuccess()
                .stdout();
        assertThat(list.lines()).containsExactlyInAnyOrder("memory", "file", "loop", "frozen");
    }
}

package farsight.device;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.NbdKernel;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The packaged client and a real kernel, by netlink and by ioctl, with servers that die, change and fall silent. What
 * happens in the guest is in {@code src/test/tools/guest}, what happens to the server in {@code src/test/tools}.
 */
class KernelNetlinkTest {
    private static final String PORT = "10809";
    private static final String ADDRESS = NbdKernel.HOST + ":" + PORT;

    @TempDir
    Path folder;

    private String farsight;

    @BeforeEach
    void needs() {
        farsight = Project.launcher().toString();
        Requires.tool("mkfs.ext4", "e2fsprogs");
        Requires.tool("fio", "fio");
        NbdKernel.assumeAvailable();
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void fileSystemsOnBothInterfacesWithOneConnectionAndFour() throws IOException {
        Requires.tool("mkfs.xfs", "xfsprogs");
        Path image = image("disk.img", 512);
        show(new NbdKernel()
                .limit(Duration.ofMinutes(5))
                .server(server("disk=file:" + image))
                .run(script("attach-matrix.sh"), farsight, PORT));
        // Most of what was written was given back: the discards have arrived.
        String blocks = Commands.command("stat", "-c", "%b", image.toString())
                .run()
                .expectSuccess()
                .stdout()
                .strip();
        assertThat(Long.parseLong(blocks) * 512).isLessThan(256L << 20);
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void applicationsSeeAStallWhenServerClientOrNetworkDie() throws IOException {
        Path asked = Files.createDirectory(folder.resolve("asked"));
        String exports = "one=file:" + image("one.img", 128) + " --export four=file:" + image("four.img", 128);
        config("one", 0, 1);
        config("four", 1, 4);
        show(new NbdKernel()
                .limit(Duration.ofMinutes(6))
                .share(asked)
                .server("exec '" + Project.testTool("faulty-server") + "' '" + asked + "' '" + farsight
                        + "' server --listen " + ADDRESS + " --export " + exports)
                .run(script("survive.sh"), farsight, folder.toString(), PORT, asked.toString()));
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anExportIsFollowedWhenItGrowsAndRefusedWhenItIsAnother() throws IOException {
        Requires.tool("nbdkit", "nbdkit");
        Path asked = Files.createDirectory(folder.resolve("asked"));
        image("asked/disk.img", 64);
        Commands.Result result = show(new NbdKernel()
                .limit(Duration.ofMinutes(6))
                .share(asked)
                .server("exec '" + Project.testTool("faulty-server") + "' '" + asked + "' nbdkit -f -i "
                        + NbdKernel.HOST + " -p " + PORT + " file '" + asked.resolve("disk.img") + "'")
                .server("exec nbdkit -f -i " + NbdKernel.HOST + " -p 10810 memory 512M")
                .run(script("other-export.sh"), farsight, PORT, asked.toString()));
        assertThat(result.stdout()).contains("swapped");
    }

    @ParameterizedTest
    @Execution(ExecutionMode.CONCURRENT)
    @ValueSource(strings = {"NETLINK", "IOCTL"})
    void attachingAndDetachingFiftyTimesLeavesNothing(String kind) throws IOException {
        String path = Project.ROOT.resolve("target/test-classes") + ":"
                + Project.launcher().getParent().resolveSibling("lib") + "/*";
        Commands.Result result = show(new NbdKernel()
                .limit(Duration.ofMinutes(5))
                .server(server("disk=memory:64MiB"))
                .run(
                        script("await-server.sh"),
                        PORT,
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "-Xmx128m",
                        "-XX:+UseSerialGC",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        path,
                        "farsight.device.AttachLoop",
                        "nbd://" + ADDRESS + "/disk",
                        "50",
                        "/dev/nbd0",
                        kind));
        assertThat(result.stdout()).contains(kind + ": 50 times").contains("leaked=0");
    }

    private static Commands.Result show(Commands.Result result) {
        System.out.print(result.expectSuccess().stdout());
        return result;
    }

    private Path config(String name, int device, int connections) throws IOException {
        return Files.writeString(
                folder.resolve(name + ".toml"), """
                    [nbd]
                    file = "/dev/nbd%d"
                    connections = %d

                    [server]
                    address = "%s"

                    [backend]
                    export = "%s"
                    """.formatted(device, connections, NbdKernel.HOST, name));
    }

    private Path image(String name, long megabytes) throws IOException {
        Path image = folder.resolve(name);
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.setLength(megabytes << 20);
        }
        return image;
    }

    private String server(String export) {
        return "exec '" + farsight + "' server --listen " + ADDRESS + " --export " + export;
    }

    private static String script(String name) {
        return Project.testTool("guest/" + name).toString();
    }
}

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

/**
 * The whole way: the packaged server, the packaged client, the nbd driver of a real kernel and a file system on its
 * device. What happens in the guest is in {@code src/test/tools/guest}.
 */
class KernelAttachTest {
    private static final int PORT = 10809;
    private static final long SIZE = 512 << 20;

    @TempDir
    Path folder;

    private String farsight;

    @BeforeEach
    void needs() {
        farsight = Project.launcher().toString();
        Requires.tool("mkfs.ext4", "e2fsprogs");
        NbdKernel.assumeAvailable();
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aFileSystemOnAFileSurvivesDetachAndAttach() throws IOException {
        Path image = image("disk.img");
        attachExt4(server("--listen " + address() + " --export disk=file:" + image), "export = \"disk\"", 200);
        Commands.command(Requires.tool("e2fsck", "e2fsprogs").toString(), "-fn", image.toString())
                .run()
                .expectSuccess();
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aFileSystemInMemorySurvivesDetachAndAttach() throws IOException {
        attachExt4(server("--listen " + address() + " --export disk=memory:512MiB"), "export = \"disk\"", 200);
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void bothSidesAreConfiguredByTheirFiles() throws IOException {
        image("disk.img");
        Path config = file("server.toml", """
            [server]
            address = "%s"
            port = %d

            [file]
            root = "%s"
            """.formatted(NbdKernel.HOST, PORT, folder));
        attachExt4(server(config.toString()), "name = \"file\"\npath = \"disk.img\"", 20);
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void whatCannotBeAttachedIsRefusedInOneLine() throws IOException {
        String export = "export = \"disk\"";
        client("good.toml", "/dev/nbd0", PORT, export);
        client("no-server.toml", "/dev/nbd0", 10999, export);
        client("no-export.toml", "/dev/nbd0", PORT, "export = \"nothing-here\"");
        client("no-device.toml", "/dev/nbd99", PORT, export);
        new NbdKernel()
                .server(server("--listen " + address() + " --export disk=memory:64MiB"))
                .run(script("attach-errors.sh"), farsight, folder.toString(), Integer.toString(PORT))
                .expectSuccess();
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void theDriverIsLoadedWithItsOptionsAndTheServiceManagerIsTold() throws IOException {
        Requires.tool("python3", "python3");
        Path config = client("client.toml", "/dev/nbd0", PORT, "export = \"disk\"");
        new NbdKernel()
                .limit(Duration.ofMinutes(5))
                .server(server("--listen " + address() + " --export disk=memory:64MiB"))
                .run(script("driver.sh"), farsight, config.toString(), Integer.toString(PORT))
                .expectSuccess();
    }

    private void attachExt4(String server, String backend, int megabytes) throws IOException {
        Path config = client("client.toml", "/dev/nbd0", PORT, backend);
        Commands.Result result = new NbdKernel()
                .limit(Duration.ofMinutes(4))
                .server(server)
                .run(
                        script("attach-ext4.sh"),
                        farsight,
                        config.toString(),
                        Integer.toString(PORT),
                        Integer.toString(megabytes))
                .expectSuccess();
        assertThat(result.stdout()).endsWith(" s: detached\n");
    }

    private Path client(String name, String device, int port, String backend) throws IOException {
        return file(name, """
            [nbd]
            file = "%s"
            blocksize = 4096

            [server]
            address = "%s"
            port = %d

            [backend]
            %s
            """.formatted(device, NbdKernel.HOST, port, backend));
    }

    private Path file(String name, String content) throws IOException {
        return Files.writeString(folder.resolve(name), content);
    }

    private Path image(String name) throws IOException {
        Path image = folder.resolve(name);
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.setLength(SIZE);
        }
        return image;
    }

    /** Without a shell around it, so that it is the server that gets the signal at the end. */
    private String server(String arguments) {
        return "exec '" + farsight + "' server " + arguments;
    }

    private static String script(String name) {
        return Project.testTool("guest/" + name).toString();
    }

    private static String address() {
        return NbdKernel.HOST + ":" + PORT;
    }
}

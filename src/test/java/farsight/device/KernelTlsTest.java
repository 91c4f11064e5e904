package farsight.device;

import farsight.tools.NbdKernel;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.TestAuthority;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Devices of a real kernel over TLS, from our server and from nbdkit. What happens in the guest is in guest/tls.sh. */
class KernelTlsTest {
    private static final int PORT = 10809;

    @TempDir
    Path folder;

    @Test
    void devicesOverTlsSurviveTheirClientsAndTheirServer() throws IOException {
        Requires.tool("mkfs.ext4", "e2fsprogs");
        Requires.tool("fio", "fio");
        Requires.tool("nbdkit", "nbdkit");
        NbdKernel.assumeAvailable();
        Path asked = Files.createDirectory(folder.resolve("asked"));
        Path tls = certificates("the authority", "tls");
        String known = "tls = \"require\"\ntls_certificates = \"" + tls + "\"";
        client("ours", "file = \"/dev/nbd0\"\nconnections = 4", PORT, known);
        client("peer", "file = \"/dev/nbd1\"\nconnections = 2", PORT + 1, known);
        client("ioctl", "file = \"/dev/nbd2\"\nattach = \"ioctl\"\nconnections = 2", PORT, known);
        String strange = "tls = \"require\"\ntls_certificates = \"" + certificates("another authority", "other") + "\"";
        client("stranger", "file = \"/dev/nbd0\"", PORT, strange);
        client("clear", "file = \"/dev/nbd0\"", PORT, "");
        System.out.print(new NbdKernel()
                .limit(Duration.ofMinutes(5))
                .share(asked)
                .server("exec '" + Project.testTool("faulty-server") + "' '" + asked + "' '" + Project.launcher()
                        + "' server '" + server(tls) + "'")
                .server("exec nbdkit -f -i " + NbdKernel.HOST + " -p " + (PORT + 1)
                        + " --tls=require --tls-verify-peer --tls-certificates='" + tls + "' memory 64M")
                .run(
                        Project.testTool("guest/tls.sh").toString(),
                        Project.launcher().toString(),
                        folder.toString(),
                        Integer.toString(PORT),
                        asked.toString())
                .expectSuccess()
                .stdout());
    }

    private Path certificates(String authority, String name) throws IOException {
        TestAuthority signs = new TestAuthority(authority);
        Instant tomorrow = Instant.now().plus(Duration.ofDays(1));
        Path directory = signs.trustedIn(folder.resolve(name));
        signs.issue(directory, "client", "client", tomorrow);
        return signs.issue(directory, "server", "server", tomorrow, NbdKernel.HOST);
    }

    private Path server(Path tls) throws IOException {
        Path image = folder.resolve("disk.img");
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.setLength(64 << 20);
        }
        return Files.writeString(folder.resolve("server.toml"), """
            [server]
            address = "%s"
            port = %d
            tls = "require"
            tls_certificates = "%s"
            tls_verify_clients = true

            [exports.disk]
            backend = "file"
            path = "%s"
            """.formatted(NbdKernel.HOST, PORT, tls, image));
    }

    private void client(String name, String device, int port, String tls) throws IOException {
        Files.writeString(folder.resolve(name + ".toml"), """
            [nbd]
            %s

            [server]
            address = "%s"
            port = %d
            %s

            [backend]
            export = "disk"
            """.formatted(device, NbdKernel.HOST, port, tls));
    }
}

package farsight.backend.rbd;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.MiniCeph;
import farsight.tools.NbdKernel;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * An RBD image as a block device of a real kernel, with the example files as they are but for addresses. The cluster
 * runs beside the guest, in its private network.
 */
class KernelRbdTest {
    private static final int PORT = 10809;

    @TempDir
    Path folder;

    private String farsight;
    private Path client;
    private String server;

    @BeforeEach
    void configure() throws IOException {
        MiniCeph.assumeAvailable();
        NbdKernel.assumeAvailable();
        Requires.tool("mkfs.ext4", "e2fsprogs");
        Requires.tool("jq", "jq");
        farsight = Project.launcher().toString();
        String ceph = folder.resolve("ceph").toString();
        Path config = Files.writeString(
                folder.resolve("server.toml"),
                example("server-rbd.toml")
                        .replace("/etc/ceph/ceph.conf", ceph + "/farsight.conf")
                        .replace("\"admin\"", "\"farsight\""));
        client = Files.writeString(
                folder.resolve("client.toml"), example("client-rbd.toml").replace("127.0.0.1", NbdKernel.HOST));
        String rbd = "rbd -c " + ceph + "/farsight.conf --id farsight";
        server = String.join(
                "; ",
                "set -e",
                Project.testTool("mini-ceph") + " start " + ceph,
                rbd + " create --size 512M rbd/disk",
                answering(rbd),
                "exec '" + farsight + "' server " + config);
    }

    private static String example(String name) throws IOException {
        return Files.readString(Project.ROOT.resolve("examples").resolve(name));
    }

    /** Tells what the image takes whenever the guest asks. */
    private String answering(String rbd) {
        return "(for n in 1 2; do until [ -e " + folder + "/ask-$n ]; do sleep 0.1; done; " + rbd
                + " du --format json rbd/disk 2>/dev/null | jq '.images[0].used_size' > " + folder + "/new; mv "
                + folder
                + "/new " + folder + "/used-$n; done) &";
    }

    @Test
    void aFileSystemOnAnImageSurvivesDetachAndAttach() {
        Commands.Result result = new NbdKernel()
                .limit(Duration.ofMinutes(4))
                .server(server.replace("&;", "&"))
                .run(
                        Project.testTool("guest/attach-ext4.sh").toString(),
                        farsight,
                        client.toString(),
                        Integer.toString(PORT),
                        "200")
                .expectSuccess();
        assertThat(result.stdout()).endsWith(" s: detached\n");
    }

    @Test
    void fstrimGivesSpaceBackToTheCluster() {
        new NbdKernel()
                .limit(Duration.ofMinutes(4))
                .share(folder)
                .server(server.replace("&;", "&"))
                .run(
                        Project.testTool("guest/rbd-trim.sh").toString(),
                        farsight,
                        client.toString(),
                        Integer.toString(PORT),
                        folder.toString())
                .expectSuccess();
    }
}

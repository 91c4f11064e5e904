package farsight.backend.rbd;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.Settings;
import farsight.tools.Commands;
import farsight.tools.MiniCeph;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code farsight rbd} on a real cluster: what it did and what it says is what Ceph's own tool says. */
class RbdAdminTest {
    private static final int FAILED = 1;
    private static final int MISUSED = 2;

    @TempDir
    static Path directory;

    static MiniCeph ceph;
    static Path config;

    @BeforeAll
    static void start() throws IOException {
        ceph = new MiniCeph(directory.resolve("ceph"));
        config = Files.writeString(directory.resolve("server.toml"), """
            [rbd]
            ceph_conf = "%s"
            ceph_user = "farsight"
            """.formatted(ceph.conf()));
    }

    @AfterAll
    static void stop() {
        if (ceph != null) {
            ceph.close();
        }
    }

    private static Commands.Result farsight(String... words) {
        List<String> all = new ArrayList<>(List.of(Project.launcher().toString(), "rbd"));
        all.addAll(List.of(words));
        return Commands.command(all).run();
    }

    /** By the section of the server's file. */
    private static Commands.Result rbd(String... words) {
        List<String> all = new ArrayList<>(List.of(words));
        all.addAll(List.of("--config", config.toString()));
        return farsight(all.toArray(String[]::new));
    }

    private static String ceph(String... words) {
        return ceph.rbd(words).expectSuccess().stdout();
    }

    private static void expectRefusal(Commands.Result result, String why) {
        assertThat(result.exit()).isEqualTo(FAILED);
        assertThat(result.stderr().lines())
                .singleElement()
                .asString()
                .startsWith("farsight: ")
                .contains(why);
    }

    /** JSON in one form, with what is of interest. */
    private static String canonical(String json, String filter) throws IOException {
        Path file = Files.writeString(directory.resolve("json"), json);
        Requires.tool("jq", "jq");
        return Commands.command("jq", "-cS", filter, file.toString())
                .run()
                .expectSuccess()
                .stdout();
    }

    @Test
    void imagesAreMadeListedDescribedResizedAndRemoved() throws IOException {
        rbd("create", "--size", "64MiB", "rbd/made").expectSuccess();
        rbd("create", "--size", "8MiB", "other").expectSuccess();
        assertThat(rbd("ls").expectSuccess().stdout().lines().toList())
                .isEqualTo(ceph("ls", "rbd").lines().sorted().toList())
                .contains("made", "other");
        assertThat(canonical(rbd("ls", "rbd", "--json").expectSuccess().stdout(), "sort"))
                .isEqualTo(canonical(ceph("ls", "rbd", "--format", "json"), "sort"));
        rbd("resize", "--size", "96MiB", "rbd/made").expectSuccess();
        String keys =
                "{name,id,size,objects,order,object_size,snapshot_count,block_name_prefix,features,parent:(.parent//null)}";
        assertThat(canonical(rbd("info", "rbd/made", "--json").expectSuccess().stdout(), keys))
                .contains("100663296")
                .isEqualTo(canonical(ceph("info", "rbd/made", "--format", "json"), keys));
        expectRefusal(rbd("resize", "--size", "1MiB", "rbd/made"), "--allow-shrink");
        rbd("resize", "--size", "1MiB", "--allow-shrink", "rbd/made").expectSuccess();
        assertThat(ceph("info", "rbd/made", "--format", "json")).contains("\"size\":1048576");
        rbd("rm", "rbd/made").expectSuccess();
        rbd("rm", "other").expectSuccess();
        assertThat(ceph("ls", "rbd").lines()).doesNotContain("made", "other");
    }

    @Test
    void snapshotsAreProtectedClonedAndRemoved() throws IOException {
        rbd("create", "--size", "8MiB", "parent").expectSuccess();
        rbd("snap", "create", "parent@one").expectSuccess();
        rbd("snap", "create", "parent@two").expectSuccess();
        expectRefusal(rbd("clone", "parent@one", "child"), "snap protect");
        rbd("snap", "protect", "parent@one").expectSuccess();
        String snapshots = "[.[]|{id,name,size,protected:(.protected|tostring)}]";
        assertThat(canonical(
                        rbd("snap", "ls", "parent", "--json").expectSuccess().stdout(), snapshots))
                .contains("\"protected\":\"true\"")
                .isEqualTo(canonical(ceph("snap", "ls", "rbd/parent", "--format", "json"), snapshots));
        rbd("clone", "parent@one", "child").expectSuccess();
        assertThat(canonical(
                        ceph("info", "rbd/child", "--format", "json"), ".parent|.pool+\"/\"+.image+\"@\"+.snapshot"))
                .isEqualTo(
                        canonical(rbd("info", "child", "--json").expectSuccess().stdout(), ".parent"))
                .contains("rbd/parent@one");
        expectRefusal(rbd("snap", "unprotect", "parent@one"), "still uses it");
        expectRefusal(rbd("rm", "parent"), "has snapshots");
        rbd("rm", "child").expectSuccess();
        rbd("snap", "unprotect", "parent@one").expectSuccess();
        rbd("snap", "rm", "parent@one").expectSuccess();
        rbd("snap", "rm", "parent@two").expectSuccess();
        rbd("rm", "parent").expectSuccess();
        assertThat(ceph("ls", "rbd").lines()).doesNotContain("parent", "child");
    }

    @Test
    void mistakesAreOneLineEach() {
        expectRefusal(rbd("info", "nothing"), "rbd image rbd/nothing: No such file or directory");
        expectRefusal(rbd("ls", "nopool"), "pool 'nopool'");
        expectRefusal(rbd("snap", "create", "image"), "names no snapshot");
        expectRefusal(rbd("rm", "image@snapshot"), "names a snapshot");
        expectRefusal(farsight("ls", "--ceph-conf", "/nowhere/ceph.conf"), "there is no such file");
        expectRefusal(farsight("ls", "--ceph-conf", ceph.conf().toString(), "--ceph-user", "nobody"), "client.nobody");
        assertThat(rbd("create", "--size", "much", "image").exit()).isEqualTo(MISUSED);
        assertThat(farsight().exit()).isEqualTo(MISUSED);
    }

    @Test
    void aServerListsSoManyImagesAndNoMore() throws IOException {
        ceph("namespace", "create", "rbd/many");
        Settings section = new Settings(
                Map.of("ceph_conf", ceph.conf().toString(), "ceph_user", "farsight", "allow", List.of("rbd/many/*")));
        try (RbdAdmin admin = RbdAdmin.connect(section);
                RbdBackend backend = new RbdBackend(section)) {
            for (int i = 0; i < ImageListing.MOST; i++) {
                admin.create("rbd/many/" + (1000 + i), 1 << 20);
            }
            assertThat(backend.list()).hasSize(ImageListing.MOST).contains("rbd/many/1999");
            admin.create("rbd/many/2000", 1 << 20);
            assertThat(admin.list("rbd/many")).hasSize(ImageListing.MOST + 1);
            assertThat(backend.list()).hasSize(ImageListing.MOST).contains("rbd/many/1999");
        }
    }
}

package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.cli.Examination.Finding;
import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code farsight doctor} finds here, and on machines that lack things. */
class DoctorTest {
    private static final List<String> NAMES = List.of(
            "java",
            "native access",
            "open files",
            "locked memory",
            "io_uring",
            "librbd",
            "nbd driver",
            "nbd netlink",
            "systemd");

    @TempDir
    Path folder;

    private Finding find(String name) {
        return new Examination(folder)
                .findings().stream()
                        .filter(finding -> finding.name().equals(name))
                        .findFirst()
                        .orElseThrow();
    }

    private void limits(String files, String locked) throws IOException {
        Files.createDirectories(folder.resolve("proc/self"));
        Files.writeString(folder.resolve("proc/self/limits"), """
            Limit                     Soft Limit           Hard Limit           Units
            Max open files            %-20s 1048576              files
            Max locked memory         %-20s unlimited            bytes
            """.formatted(files, locked));
    }

    @Test
    void everythingIsLookedForAndNothingEssentialIsMissingHere() {
        Commands.Result result =
                Commands.command(Project.launcher().toString(), "doctor").run().expectSuccess();
        assertThat(result.stdout().lines())
                .hasSameSizeAs(NAMES)
                .allMatch(line -> line.matches("(" + String.join("|", NAMES) + ") +(ok|missing) +\\S.*"));
        assertThat(result.stdout()).containsPattern("java +ok").containsPattern("native access +ok");
        assertThat(result.stderr()).isEmpty();
    }

    @Test
    void itIsToldAsJson() {
        String python = Requires.tool("python3", "python3").toString();
        String json = Commands.command(Project.launcher().toString(), "doctor", "--json")
                .run()
                .expectSuccess()
                .stdout();
        assertThat(Commands.command(
                                python,
                                "-c",
                                "import json,sys\nfor f in json.loads(sys.argv[1]):"
                                        + " assert f['ok'] != bool(f['remedy']); print(f['name'])",
                                json)
                        .run()
                        .expectSuccess()
                        .stdout()
                        .lines())
                .containsExactlyElementsOf(NAMES);
    }

    @Test
    void whatIsMissingComesWithItsRemedy() throws IOException {
        limits("256", "65536");
        for (String name : List.of("open files", "locked memory", "systemd")) {
            Finding finding = find(name);
            assertThat(finding.ok()).as(name).isFalse();
            assertThat(finding.essential()).as(name).isFalse();
            assertThat(finding.remedy()).as(name).isNotEmpty();
        }
        assertThat(find("open files").remedy()).contains("LimitNOFILE=");
        assertThat(find("locked memory").remedy()).contains("LimitMEMLOCK=");
    }

    @Test
    void whatIsThereIsOk() throws IOException {
        limits("65536", "unlimited");
        Files.createDirectories(folder.resolve("run/systemd/system"));
        for (String name : List.of("open files", "locked memory", "systemd")) {
            assertThat(find(name).ok()).as(name).isTrue();
        }
        assertThat(find("locked memory").found()).isEqualTo("unlimited");
    }
}

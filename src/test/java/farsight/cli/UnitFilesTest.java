package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The unit files as systemd reads them. */
class UnitFilesTest {
    private static final Path UNITS = Project.ROOT.resolve("src/dist/systemd");

    @TempDir
    Path folder;

    private String analyze;

    /** The files, with the program where it is here, and with a template's instance. */
    @BeforeEach
    void copy() throws IOException {
        analyze = Requires.tool("systemd-analyze", "systemd").toString();
        try (Stream<Path> units = Files.list(UNITS)) {
            for (Path unit : units.toList()) {
                String text = Files.readString(unit)
                        .replace("/usr/bin/farsight", Project.launcher().toString());
                String name = unit.getFileName().toString();
                Files.writeString(folder.resolve(name), text);
                Files.writeString(folder.resolve(name.replace("@.", "@disk.")), text);
            }
        }
    }

    private Commands.Result analyze(String... words) {
        return Commands.command(
                        Stream.concat(Stream.of(analyze), Stream.of(words)).toList())
                .directory(folder)
                .run();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "farsight-server.service",
                "farsight-server.socket",
                "farsight-client@disk.service",
                "farsight-clients.service"
            })
    void systemdHasNothingToSayAgainstAUnit(String unit) {
        Commands.Result result = analyze("verify", "--man=no", "--recursive-errors=no", "./" + unit);
        assertThat(result.expectSuccess().stderr()).isEmpty();
    }

    @Test
    void aMistakeInAUnitWouldBeSeen() throws IOException {
        Path unit = folder.resolve("farsight-server.service");
        Files.writeString(unit, Files.readString(unit).replace("WatchdogSec=60", "WatchdogSec=soon"));
        assertThat(analyze("verify", "--man=no", "--recursive-errors=no", "./farsight-server.service")
                        .stderr())
                .contains("farsight-server.service:", "ignoring: soon");
    }

    @Test
    void theServerIsExposedLittle() {
        Commands.Result result = analyze("security", "--offline=true", "--threshold=20", "./farsight-server.service");
        assertThat(result.expectSuccess().stdout()).contains("Overall exposure level for farsight-server.service: 1.");
    }

    @Test
    void devicesAreThereBeforeFileSystemsOfTheNetworkAreMounted() throws IOException {
        for (String unit : List.of("farsight-client@.service", "farsight-clients.service")) {
            assertThat(Files.readAllLines(UNITS.resolve(unit)))
                    .contains("Type=notify", "Before=remote-fs-pre.target", "After=network-online.target");
        }
    }
}

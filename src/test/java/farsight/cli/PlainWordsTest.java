package farsight.cli;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Plain command lines mean what they mean to picocli, and mistakes read the same. */
class PlainWordsTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "server",
                "server a.toml",
                "server --export disk=memory:1MiB",
                "server a.toml --listen localhost:1 --export a=memory:1 --listen unix:/a",
                "info nbd://localhost/disk",
                "copy a b"
            })
    void arePlain(String words) {
        assertThat(PlainWords.command(words.split(" "))).isNotNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "--version",
                "server --help",
                "server -v a.toml",
                "server a.toml b.toml",
                "server @words",
                "server --export",
                "server --export --listen",
                "server --listen nowhere:at:all",
                "server --export=disk=memory:1MiB",
                "server --stdio",
                "server --max-errors 3 a.toml",
                "-v server a.toml",
                "info",
                "info --json nbd://localhost/disk",
                "info http://localhost",
                "info nbd://localhost/disk twice",
                "copy a",
                "copy a b c",
                "copy --quiet a b",
                "map nbd://localhost/disk",
                "help server"
            })
    void areNot(String words) {
        assertThat(PlainWords.command(words.split(" "))).isNull();
    }

    @Test
    void anEmptyWordIsNot() {
        assertThat(PlainWords.command("server", "")).isNull();
        assertThat(PlainWords.command()).isNull();
    }

    /** The same words with an option that changes nothing go by picocli. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "server",
                "server none.toml",
                "server --export disk",
                "server --export disk=nothing:1",
                "server --export a=memory:1MiB --export a=memory:1MiB",
                "server --export a=memory:-1",
                "info nbd+unix:///?socket=/nowhere",
                "copy /nowhere/a /nowhere/b"
            })
    void mistakesReadTheSame(String words) {
        assertThat(PlainWords.command(words.split(" "))).isNotNull();
        Commands.Result plain = farsight(words);
        assertThat(plain.exit()).isIn(1, 2);
        String option =
                words.startsWith("server") ? " --max-errors=10" : words.startsWith("copy") ? " --requests=16" : "";
        Commands.Result parsed =
                option.isEmpty() ? farsight(words.replace("info", "info --json")) : farsight(words + option);
        assertThat(plain.stderr()).isEqualTo(parsed.stderr()).startsWith("farsight: ");
        assertThat(plain.exit()).isEqualTo(parsed.exit());
    }

    private static Commands.Result farsight(String words) {
        List<String> command = new ArrayList<>(List.of(Project.launcher().toString()));
        command.addAll(List.of(words.split(" ")));
        return Commands.command(command).run();
    }
}

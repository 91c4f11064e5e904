package farsight.cli;

import farsight.config.Json;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code farsight doctor}. */
@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        description = "Say what this machine has of what Farsight can use, and how to get what is missing.",
        footer = {"", "Exit status 0 when nothing is missing that everything needs, 1 otherwise."})
final class DoctorCommand implements Callable<Integer> {
    @Option(names = "--json", description = "Print JSON.")
    private boolean json;

    @Override
    public Integer call() {
        List<Examination.Finding> findings = new Examination(Path.of("/")).findings();
        if (json) {
            System.out.println(
                    findings.stream().map(DoctorCommand::json).collect(Collectors.joining(",\n", "[\n", "\n]")));
        } else {
            findings.forEach(finding -> System.out.println(text(finding)));
        }
        return findings.stream().anyMatch(finding -> finding.essential() && !finding.ok()) ? 1 : 0;
    }

    private static String text(Examination.Finding finding) {
        return "%-14s %-8s %s%s"
                .formatted(
                        finding.name(),
                        finding.ok() ? "ok" : "missing",
                        finding.found(),
                        finding.remedy().isEmpty() ? "" : "; " + finding.remedy());
    }

    private static String json(Examination.Finding finding) {
        return "  {\"name\": %s, \"ok\": %b, \"essential\": %b, \"found\": %s, \"remedy\": %s}"
                .formatted(
                        Json.quote(finding.name()),
                        finding.ok(),
                        finding.essential(),
                        Json.quote(finding.found()),
                        Json.quote(finding.remedy()));
    }
}

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * Writes what the commands say of themselves as man pages and as completion for bash and zsh: {@code Manual SHARE DATE},
 * with the program on the class path.
 */
final class Manual {
    private static final String COMPLETION = "bash-completion/completions/farsight";

    private final Path pages;
    private final String date;
    private final String version;

    private Manual(Path pages, String date, String version) {
        this.pages = pages;
        this.date = date;
        this.version = version;
    }

    public static void main(String[] arguments) throws Exception {
        Path share = Path.of(arguments[0]);
        Method method = Class.forName("farsight.cli.Main").getDeclaredMethod("commandLine", String[].class);
        method.setAccessible(true);
        CommandLine farsight = (CommandLine) method.invoke(null, (Object) new String[] {"help"});
        write(share.resolve(COMPLETION), AutoComplete.bash("farsight", farsight));
        write(share.resolve("zsh/vendor-completions/_farsight"), """
            #compdef farsight
            autoload -U +X bashcompinit && bashcompinit
            source /usr/share/%s
            """.formatted(COMPLETION));
        new Manual(share.resolve("man/man1"), arguments[1], arguments[2]).pages(farsight);
    }

    private static void write(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private void pages(CommandLine command) throws IOException {
        page(command);
        for (CommandLine one : command.getSubcommands().values()) {
            if (!one.getCommandSpec().usageMessage().hidden()
                    && !(one.getCommand() instanceof CommandLine.HelpCommand)) {
                pages(one);
            }
        }
    }

    private void page(CommandLine command) throws IOException {
        CommandSpec spec = command.getCommandSpec();
        String name = spec.qualifiedName("-");
        String description = String.join(" ", spec.usageMessage().description());
        StringBuilder page = new StringBuilder();
        page.append(".TH %s 1 \"%s\" \"farsight %s\"\n".formatted(quote(name.toUpperCase()), date, version));
        section(page, "NAME", quote(name) + " \\- " + quote(description));
        section(page, "SYNOPSIS", synopsis(spec));
        List<String> entries = new ArrayList<>();
        for (PositionalParamSpec parameter : spec.positionalParameters()) {
            entries.add(entry(quote(parameter.paramLabel()), parameter));
        }
        for (OptionSpec option : spec.options()) {
            if (!option.hidden()) {
                String names = "\\fB" + quote(String.join(", ", option.names())) + "\\fR";
                boolean flag = option.arity().max() == 0;
                entries.add(entry(flag ? names : names + " \\fI" + quote(option.paramLabel()) + "\\fR", option));
            }
        }
        section(page, "OPTIONS", String.join("\n", entries));
        List<String> commands = new ArrayList<>();
        for (CommandLine one : command.getSubcommands().values()) {
            if (!one.getCommandSpec().usageMessage().hidden()) {
                commands.add(".TP\n.B " + quote(one.getCommandName()) + "\n"
                        + quote(String.join(
                                " ", one.getCommandSpec().usageMessage().description())));
            }
        }
        section(page, "COMMANDS", String.join("\n", commands));
        section(page, "EXAMPLES", lines(spec.usageMessage().footer()));
        section(page, "EXIT STATUS", "0 when all went well, 1 when something failed, 2 when the words were wrong.");
        write(pages.resolve(name + ".1"), page.toString());
    }

    private static void section(StringBuilder page, String title, String text) {
        if (!text.isBlank()) {
            page.append(".SH ").append(title).append('\n').append(text).append('\n');
        }
    }

    private static String synopsis(CommandSpec spec) {
        StringBuilder line = new StringBuilder("\\fB" + quote(spec.qualifiedName()) + "\\fR [OPTIONS]");
        for (PositionalParamSpec parameter : spec.positionalParameters()) {
            String label = quote(parameter.paramLabel());
            line.append(parameter.arity().min() == 0 ? " [" + label + "]" : " " + label);
        }
        return line + (spec.subcommands().isEmpty() ? "" : " COMMAND");
    }

    private static String entry(String title, ArgSpec argument) {
        return ".TP\n" + title + "\n" + quote(String.join(" ", argument.description()));
    }

    private static String lines(String[] footer) {
        String text = String.join("\n", footer).strip();
        return text.isEmpty() ? "" : ".nf\n" + quote(text) + "\n.fi";
    }

    /** Text that roff leaves as it is. */
    private static String quote(String text) {
        return text.replace("\\", "\\e")
                .replace("-", "\\-")
                .replaceAll("(?m)^([.'])", "\\\\&$1")
                .replace("%n", "\n");
    }
}

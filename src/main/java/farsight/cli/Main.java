package farsight.cli;

import farsight.config.ConfigException;
import java.io.IOException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code farsight}: exit status 0 when all went well, 1 when something failed, 2 when the words were wrong. */
@Command(
        name = "farsight",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        description = "Storage as Linux block devices: an NBD server and client.",
        subcommands = {
            ServerCommand.class,
            ClientCommand.class,
            InfoCommand.class,
            CopyCommand.class,
            CommandLine.HelpCommand.class
        })
public final class Main {
    private static final int FAILED = 1;

    @Option(
            names = {"-v", "--verbose"},
            scope = CommandLine.ScopeType.INHERIT,
            description = "Log every refused request, and print stack traces.")
    boolean verbose;

    private Main() {}

    public static void main(String[] arguments) {
        Main main = new Main();
        int status = new CommandLine(main)
                .setExecutionExceptionHandler((failure, line, parsed) -> main.failed(failure))
                .setExecutionStrategy(parsed -> {
                    Logs.configure(main.verbose);
                    return new CommandLine.RunLast().execute(parsed);
                })
                .execute(arguments);
        Stop.exit(status);
    }

    private int failed(Exception failure) {
        String text = failure instanceof IOException || failure instanceof IllegalArgumentException
                ? failure.getMessage()
                : "unexpected: " + failure;
        for (String line : text.split("\n")) {
            System.err.println(failure instanceof ConfigException ? line : "farsight: " + line);
        }
        if (verbose) {
            failure.printStackTrace();
        }
        return FAILED;
    }
}

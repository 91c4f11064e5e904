package farsight.cli;

import farsight.sys.EarlyLinking;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** {@code farsight}: exit status 0 when all went well, 1 when something failed, 2 when the words were wrong. */
@Command(
        name = "farsight",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        description = "Storage as Linux block devices: an NBD server and client.")
public final class Main {
    private static final int FAILED = 1;
    private static final int MISUSED = 2;

    private static final String SOCKETS = "java.nio.channels.spi.SelectorProvider";
    private static final String OWN_SOCKETS = "sun.nio.ch.EPollSelectorProvider";

    /** In the order of the help. */
    private static final List<Class<?>> COMMANDS = List.of(
            ServerCommand.class,
            ClientCommand.class,
            AttachCommand.class,
            DetachCommand.class,
            StatusCommand.class,
            InfoCommand.class,
            MapCommand.class,
            CopyCommand.class,
            RbdCommand.class,
            OverlayCommand.class,
            RehearseCommand.class,
            CheckCommand.class,
            DoctorCommand.class,
            CommandLine.HelpCommand.class);

    @Option(
            names = {"-v", "--verbose"},
            scope = CommandLine.ScopeType.INHERIT,
            description = "Log every refused request, and print stack traces.")
    boolean verbose;

    private Main() {}

    public static void main(String[] arguments) {
        Stop.exit(run(arguments));
    }

    /** Runs one command line, and returns its exit status. */
    static int run(String... arguments) {
        if (arguments.length > 0 && arguments[0].equals("server")) {
            EarlyLinking.begin();
        } else {
            chooseSockets();
        }
        Callable<Integer> plain = PlainWords.command(arguments);
        return plain == null ? commandLine(arguments).execute(arguments) : new Main().call(plain);
    }

    /**
     * Has the JDK take its own sockets without looking for others in all modules and archives, which takes longer than to
     * connect.
     */
    private static void chooseSockets() {
        if (System.getProperty(SOCKETS) == null) {
            try {
                System.setProperty(SOCKETS, Class.forName(OWN_SOCKETS).getName());
            } catch (ClassNotFoundException e) {
                // A JDK that has them elsewhere finds them by itself.
            }
        }
    }

    /** What the arguments are to be parsed by. */
    static CommandLine commandLine(String... arguments) {
        Main main = new Main();
        CommandLine farsight = new CommandLine(main);
        addCommands(farsight, arguments);
        return farsight.setExecutionExceptionHandler((failure, line, parsed) -> main.failed(failure))
                .setParameterExceptionHandler((failure, words) -> main.misused(failure))
                .setExecutionStrategy(parsed -> {
                    Logs.configure(main.verbose);
                    return new CommandLine.RunLast().execute(parsed);
                });
    }

    private int call(Callable<Integer> command) {
        try {
            return command.call();
        } catch (ParameterException e) {
            return misused(e);
        } catch (Exception e) {
            return failed(e);
        }
    }

    /**
     * The command that is named, or all of them where the help, a mistake or the completion needs them: looking at the
     * annotations of all takes longer than most commands do.
     */
    private static void addCommands(CommandLine farsight, String[] arguments) {
        String named = Arrays.stream(arguments)
                .filter(word -> !word.startsWith("-"))
                .findFirst()
                .orElse("");
        List<Class<?>> wanted = COMMANDS.stream()
                .filter(command -> command != CommandLine.HelpCommand.class
                        && command.getAnnotation(Command.class).name().equals(named))
                .toList();
        if (wanted.isEmpty() && !List.of(arguments).equals(List.of("--version"))) {
            wanted = COMMANDS;
        }
        wanted.forEach(farsight::addSubcommand);
    }

    private int failed(Exception failure) {
        print(message(failure));
        trace(failure);
        return FAILED;
    }

    private static String message(Exception failure) {
        String text = failure.getMessage();
        return switch (failure) {
            case UncheckedIOException unchecked -> message(unchecked.getCause());
            // The message is often but the path, and the class says what happened to it.
            case FileSystemException file
            when file.getReason() == null ->
                text + ": " + file.getClass().getSimpleName().replace("Exception", "");
            case IOException io when text != null -> text;
            case IllegalArgumentException argument when text != null -> text;
            default -> "unexpected: " + failure + "; --verbose shows where";
        };
    }

    private int misused(ParameterException failure) {
        CommandLine command = failure.getCommandLine();
        print(failure.getMessage());
        List<String> near =
                failure instanceof UnmatchedArgumentException unmatched ? unmatched.getSuggestions() : List.of();
        print(
                near.isEmpty()
                        ? "see '" + command.getCommandSpec().qualifiedName() + " --help'"
                        : "did you mean " + String.join(" or ", near) + "?");
        trace(failure);
        return MISUSED;
    }

    private static void print(String text) {
        text.lines().forEach(line -> System.err.println("farsight: " + line));
    }

    private void trace(Exception failure) {
        if (verbose) {
            failure.printStackTrace();
        }
    }
}

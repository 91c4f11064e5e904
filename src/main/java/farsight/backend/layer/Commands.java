package farsight.backend.layer;

import farsight.backend.Request.Command;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/** Commands as configurations name them. */
final class Commands {
    private Commands() {}

    static String name(Command command) {
        return command == Command.WRITE_ZEROES ? "zero" : command.name().toLowerCase(Locale.ROOT);
    }

    /** Those of a list; all for an empty one. */
    static Set<Command> named(List<String> names) {
        EnumSet<Command> commands = EnumSet.noneOf(Command.class);
        for (String name : names) {
            commands.add(Arrays.stream(Command.values())
                    .filter(command -> name(command).equals(name))
                    .findFirst()
                    .orElseThrow(() -> new IllegalArgumentException("no command is called '" + name + "'; known are "
                            + Arrays.stream(Command.values())
                                    .map(Commands::name)
                                    .collect(Collectors.joining(", ")))));
        }
        return commands.isEmpty() ? EnumSet.allOf(Command.class) : commands;
    }
}

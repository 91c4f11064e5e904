package farsight.cli;

import farsight.client.CopyOptions;
import farsight.config.ListenAddress;
import farsight.config.NbdUri;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;

/**
 * Understands the command lines that most starts have: looking at the annotations of a command takes longer than all the
 * rest of its start. Whatever is not as plain, or not right, is left to picocli, which explains it.
 */
final class PlainWords {
    private PlainWords() {}

    /** What the words ask for; null when they are not plain. Clients log nothing. */
    static Callable<Integer> command(String... words) {
        for (String word : words) {
            if (word.isEmpty() || word.startsWith("@")) {
                return null;
            }
        }
        try {
            return switch (words.length == 0 ? "" : words[0]) {
                case "server" -> server(words);
                case "info" -> isOperand(1, 2, words) ? new InfoCommand(NbdUri.parse(words[1])) : null;
                case "copy" ->
                    isOperand(1, 3, words) && isOperand(2, 3, words)
                            ? () -> CopyCommand.run(words[1], words[2], CopyOptions.DEFAULT, false)
                            : null;
                case "rehearse-client" ->
                    words.length == 4 ? () -> ClientRehearsal.run(words[1], words[2], words[3]) : null;
                default -> null;
            };
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    private static boolean isOperand(int index, int count, String... words) {
        return words.length == count && !words[index].startsWith("-");
    }

    private static Callable<Integer> server(String... words) {
        Path file = null;
        List<String> exports = new ArrayList<>();
        List<ListenAddress> addresses = new ArrayList<>();
        for (int i = 1; i < words.length; i++) {
            String word = words[i];
            boolean isOption = word.equals("--export") || word.equals("--listen");
            if (isOption && (++i == words.length || words[i].startsWith("-"))) {
                return null;
            }
            if (word.equals("--export")) {
                exports.add(words[i]);
            } else if (word.equals("--listen")) {
                addresses.add(ListenAddress.parse(words[i]));
            } else if (file == null && !word.startsWith("-")) {
                file = Path.of(word);
            } else {
                return null;
            }
        }
        ServerCommand server = new ServerCommand(file, exports, addresses);
        return () -> {
            Logs.configure(false);
            return server.call();
        };
    }
}

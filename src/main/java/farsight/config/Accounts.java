package farsight.config;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The users and groups that this machine's own files know (passwd(5), group(5)). */
final class Accounts {
    static final String USERS = "/etc/passwd";
    static final String GROUPS = "/etc/group";

    private Accounts() {}

    /** The number of a user; -1 when there is none of that name. */
    static int user(String name) {
        return number(Path.of(USERS), name);
    }

    /** The number of a group; -1 when there is none of that name. */
    static int group(String name) {
        return number(Path.of(GROUPS), name);
    }

    /** Both files have lines of name:password:number. */
    private static int number(Path file, String name) {
        try {
            for (String line : Files.readAllLines(file, StandardCharsets.ISO_8859_1)) {
                String[] fields = line.split(":");
                if (fields.length > 2 && fields[0].equals(name) && fields[2].matches("\\d{1,9}")) {
                    return Integer.parseInt(fields[2]);
                }
            }
        } catch (IOException e) {
            // As good as empty.
        }
        return -1;
    }
}

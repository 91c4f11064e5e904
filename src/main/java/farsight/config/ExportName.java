package farsight.config;

import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** Names and descriptions of exports as the protocol allows them (proto.md, "Values": no NUL, at most 4096 bytes). */
final class ExportName {
    private static final int LONGEST = 4096;

    private ExportName() {}

    /** What is wrong with it, if anything. The empty name is good: it asks for the server's default export. */
    static Optional<String> problem(String name) {
        int bytes = name.getBytes(StandardCharsets.UTF_8).length;
        if (bytes > LONGEST) {
            return Optional.of("has " + bytes + " bytes; shorten it to " + LONGEST + " or less");
        }
        return name.indexOf('\0') < 0 ? Optional.empty() : Optional.of("has a NUL in it; remove it");
    }
}

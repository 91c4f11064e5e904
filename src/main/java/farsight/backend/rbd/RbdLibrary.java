package farsight.backend.rbd;

import farsight.backend.DeviceException;
import farsight.backend.Errno;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** Whether librbd is installed, found out once, and what to do when it is not. */
@SuppressWarnings("restricted")
final class RbdLibrary {
    private static final String SONAME = "librbd.so.1";

    /** Why it is missing; null when it is there. */
    private static final String MISSING = load();

    private RbdLibrary() {}

    private static String load() {
        try {
            // The dynamic linker knows where it lies; the generated bindings look in libraries loaded by their path.
            SymbolLookup.libraryLookup(SONAME, Arena.global());
            Optional<Path> path = mapped();
            if (path.isEmpty()) {
                return SONAME + " was opened but is not among the process's mappings";
            }
            System.load(path.get().toString());
            return null;
        } catch (IllegalArgumentException | UnsatisfiedLinkError | IOException e) {
            return SONAME + " cannot be opened; install the package librbd1 (" + e.getMessage() + ")";
        }
    }

    private static Optional<Path> mapped() throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains("/librbd.so"))
                    .map(line -> Path.of(line.substring(line.indexOf('/'))))
                    .findFirst();
        }
    }

    /** Why it is missing, one line with the remedy; empty when it is there. */
    static Optional<String> missing() {
        return Optional.ofNullable(MISSING);
    }

    /** @throws DeviceException one line that names the package, when librbd is missing */
    static void require() throws DeviceException {
        if (MISSING != null) {
            throw new DeviceException(Errno.ENOTSUP, "rbd exports cannot be served: " + MISSING);
        }
    }
}

package farsight.tools;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Everything that came of one command, known by a variable in its environment that every descendant inherits.
 * A daemon leaves its parent, its process group and its session behind, but not its environment, which
 * {@code /proc/PID/environ} shows.
 */
final class ProcessFamily {
    private static final String VARIABLE = "FARSIGHT_TEST_COMMAND";

    private static final int ROUNDS = 50;

    private final String mark;

    private ProcessFamily(String entry) {
        mark = entry;
    }

    /** Puts a new family's mark into the environment of a process that is about to start. */
    static ProcessFamily mark(Map<String, String> environment) {
        String value = UUID.randomUUID().toString();
        environment.put(VARIABLE, value);
        return new ProcessFamily(VARIABLE + "=" + value);
    }

    /**
     * Kills every member, again and again until there is none, as they may fork meanwhile.
     *
     * @throws AssertionError if one survives that
     */
    void kill() {
        for (int round = 0; round < ROUNDS; round++) {
            List<ProcessHandle> found = members();
            if (found.isEmpty()) {
                return;
            }
            found.forEach(ProcessHandle::destroyForcibly);
            found.forEach(ProcessFamily::awaitEnd);
        }
        throw new AssertionError("cannot be killed: " + members());
    }

    /** Bounded, as a zombie that nobody reaps counts as alive here. */
    private static void awaitEnd(ProcessHandle killed) {
        killed.onExit().completeOnTimeout(killed, 200, TimeUnit.MILLISECONDS).join();
    }

    /** The members that still run; a zombie has no environment and does not count. */
    List<ProcessHandle> members() {
        return ProcessHandle.allProcesses().filter(this::bearsTheMark).toList();
    }

    private boolean bearsTheMark(ProcessHandle process) {
        Path environment = Path.of("/proc", Long.toString(process.pid()), "environ");
        try {
            String all = Files.readString(environment, StandardCharsets.ISO_8859_1);
            return Stream.of(all.split("\0")).anyMatch(mark::equals);
        } catch (IOException e) {
            return false; // gone meanwhile, or another user's
        }
    }
}

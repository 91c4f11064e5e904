package farsight.device;

import farsight.sys.Memory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** For a device that is swapped to: the process that reconnects it must not itself wait for it, nor be killed. */
final class SwapSafety {
    private static final Path SCORE = Path.of("/proc/self/oom_score_adj");

    /** Never killed when memory is short. */
    private static final String LEAST = "-1000";

    private SwapSafety() {}

    static void establish() throws IOException {
        try {
            Memory.lockAll();
            Files.writeString(SCORE, LEAST);
        } catch (IOException e) {
            throw new IOException(
                    "cannot make the device safe for swap: " + e.getMessage() + "; run as root, or set swap = false",
                    e);
        }
    }
}

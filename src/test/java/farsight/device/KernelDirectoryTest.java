package farsight.device;

import farsight.tools.NbdKernel;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Devices by a directory of files, and by commands. What happens in the guest is in {@code src/test/tools/guest}. */
class KernelDirectoryTest {
    /** Not the usual port, so that URIs show it. */
    private static final String SERVER = NbdKernel.HOST + ":10808";

    private String farsight;

    @BeforeEach
    void needs() {
        farsight = Project.launcher().toString();
        Requires.tool("mkfs.ext4", "e2fsprogs");
        Requires.tool("fio", "fio");
        Requires.tool("jq", "jq");
        NbdKernel.assumeAvailable();
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void filesOfADirectoryComeChangeAndGoWhileOthersAreUsed() {
        run("directory.sh");
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void devicesAreAttachedShownAndDetachedByCommands() {
        run("commands.sh");
    }

    private void run(String script) {
        new NbdKernel()
                .limit(Duration.ofMinutes(6))
                .server("exec '" + farsight + "' server --listen " + SERVER
                        + " --export a=memory:64MiB --export b=memory:64MiB --export c=memory:64MiB")
                .run(Project.testTool("guest/" + script).toString(), farsight, SERVER)
                .expectSuccess();
    }
}

package farsight.server;

import farsight.tools.NbdKernel;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The packaged server with {@code zero_copy} behind a network device that sends from where the data lies, as those of
 * this machine never do: in a guest, with clients of others outside of it. What happens is in
 * {@code src/test/tools/guest/zero-copy.sh}.
 */
class KernelZeroCopyTest {
    private static final String PORT = "10809";

    @TempDir
    Path directory;

    @ParameterizedTest
    @Execution(ExecutionMode.CONCURRENT)
    @ValueSource(strings = {"uring", "epoll"})
    void whatLeavesInPlaceIsRightAndItsMemoryComesBack(String io) throws IOException {
        Requires.tool("nbdcopy", "libnbd-bin");
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        Requires.tool("fio", "fio");
        NbdKernel.assumeAvailable();
        Path shared = Files.createDirectory(directory.resolve("shared"));
        System.out.print(new NbdKernel()
                .limit(Duration.ofMinutes(6))
                .share(shared)
                .server("exec '" + Project.testTool("beside") + "' '" + shared + "'")
                .run(
                        Project.testTool("guest").resolve("zero-copy.sh").toString(),
                        Project.launcher().toString(),
                        PORT,
                        shared.toString(),
                        io)
                .expectSuccess()
                .stdout());
    }
}

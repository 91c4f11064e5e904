package farsight.server;

import farsight.sys.ErrnoException;
import farsight.sys.Uring;
import farsight.tools.Commands;
import farsight.tools.MiniCeph;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Under steady load of reads and writes the server's threads make no garbage, and no payload is ever on the heap: the
 * packaged server in a virtual machine of its own, which counts what each thread allocates and looks at a dump of its
 * heap ({@code src/test/tools/Garbage.java}).
 */
class GarbageTest {
    /** An operation that made an object would make 16 at least. */
    private static final String MOST_BYTES_PER_OPERATION = "2";

    /** For the compiler to see all of the path, on a machine that does other things as well. */
    private static final String MOST_SECONDS = "60";

    @TempDir
    Path directory;

    @ParameterizedTest
    @ValueSource(strings = {"epoll", "uring"})
    void servingMemoryAndFilesMakesNoGarbage(String io) throws IOException {
        Requires.that(
                io.equals("epoll") || hasUring(), "io_uring", "Linux 5.17 or newer with kernel.io_uring_disabled = 0");
        expectNoGarbage(io, 1, "", "memory", "file");
    }

    /** With a second loop, which accepts, the one of the only client writes whole pages itself. */
    @Test
    void writingFilesAtOnceMakesNoGarbage() throws IOException {
        expectNoGarbage("auto", 2, "", "file");
    }

    private static boolean hasUring() {
        try {
            new Uring(8).close();
            return true;
        } catch (ErrnoException e) {
            return false;
        }
    }

    @Test
    void servingAnRbdImageMakesNoGarbage() throws IOException {
        try (MiniCeph ceph = new MiniCeph(directory.resolve("ceph"))) {
            ceph.rbd("create", "--size", "4M", "rbd/image").expectSuccess();
            String cluster = """
                [rbd]
                ceph_conf = "%s"
                ceph_user = "farsight"
                [exports.rbd]
                backend = "rbd"
                pool = "rbd"
                image = "image"
                """.formatted(ceph.conf());
            expectNoGarbage("auto", 1, cluster, "rbd");
        }
    }

    private void expectNoGarbage(String io, int loops, String more, String... exports) throws IOException {
        Path socket = directory.resolve("server.sock");
        Path configuration = directory.resolve("server.toml");
        Files.writeString(configuration, """
            [server]
            unix = "%s"
            io = "%s"
            loops = %d
            [exports.memory]
            backend = "memory"
            size = "4MiB"
            [exports.file]
            backend = "file"
            path = "%s"
            create = true
            size = "4MiB"
            """.formatted(socket, io, loops, directory.resolve("disk.img")) + more);
        List<String> command = new ArrayList<>(List.of(
                System.getProperty("java.home") + "/bin/java",
                "-XX:+UseSerialGC",
                "-Xmx128m",
                // As the launcher does.
                "-XX:CompileCommand=quiet",
                "-XX:CompileCommand=dontinline,farsight.sys.Call::invoke",
                "--enable-native-access=farsight,ALL-UNNAMED",
                "--module-path",
                Project.launcher().resolve("../../lib").normalize().toString(),
                "--add-modules=farsight",
                "--add-exports=farsight/farsight.cli=ALL-UNNAMED",
                Project.testTool("Garbage.java").toString(),
                configuration.toString(),
                socket.toString(),
                MOST_BYTES_PER_OPERATION,
                MOST_SECONDS));
        command.addAll(List.of(exports));
        // Whether the compiler can do without an object is a matter of chance, which differs between two virtual
        // machines;
        // garbage that is in the program is made in each.
        Commands.Result first = run(command);
        if (first.exit() != 0) {
            System.err.println(first.stdout());
            Files.deleteIfExists(socket);
            run(command).expectSuccess();
        }
    }

    private static Commands.Result run(List<String> command) {
        return Commands.command(command).limit(Duration.ofMinutes(4)).run();
    }
}

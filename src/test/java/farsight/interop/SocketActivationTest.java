package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The packaged server on sockets, and on standard streams, that others have made for it. */
class SocketActivationTest {
    private static final Duration LIMIT = Duration.ofSeconds(40);

    @TempDir
    Path directory;

    private static String farsight() {
        return Project.launcher().toString();
    }

    private static String python(String script, String... words) {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        String[] command = new String[words.length + 3];
        command[0] = "/usr/bin/python3";
        command[1] = "-c";
        command[2] = script;
        System.arraycopy(words, 0, command, 3, words.length);
        return Commands.command(command).limit(LIMIT).run().expectSuccess().stdout();
    }

    @Test
    void clientsOfLibnbdStartItInBrackets() throws IOException {
        Requires.tool("nbdcopy", "libnbd-bin");
        byte[] bytes = new byte[3 << 20];
        new Random(1).nextBytes(bytes);
        Path image = Files.write(directory.resolve("disk.img"), bytes);
        Path copy = directory.resolve("copy.img");
        String export = "disk=file:" + image;
        assertThat(Commands.command("nbdinfo", "--size", "--", "[", farsight(), "server", "--export", export, "]")
                        .run()
                        .expectSuccess()
                        .stdout())
                .isEqualTo(bytes.length + "\n");
        Commands.command("nbdcopy", "--", "[", farsight(), "server", "--export", export, "]", copy.toString())
                .run()
                .expectSuccess();
        assertThat(Files.mismatch(image, copy)).isEqualTo(-1);
    }

    @Test
    void oneConnectionOnStandardStreamsAndThenTheEnd() {
        assertThat(python("""
            import nbd, sys
            h = nbd.NBD()
            h.connect_command([sys.argv[1], "server", "--stdio", "--export", "disk=memory:1MiB"])
            h.pwrite(b"remember", 4096)
            print(h.get_size(), bytes(h.pread(8, 4096)))
            h.shutdown()
            """, farsight())).isEqualTo("1048576 b'remember'\n");
    }

    /** Pipes, as some programs give them, instead of a socket. */
    @Test
    void standardStreamsMayBePipesAndTheStatusTellsThatAllWentWell() {
        assertThat(python("""
            import struct, subprocess, sys
            p = subprocess.Popen([sys.argv[1], "server", "--stdio", "--export", "disk=memory:1MiB"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            print(p.stdout.read(18)[:16])
            go = b"IHAVEOPT" + struct.pack(">IIIH", 7, 6, 0, 0)
            p.stdin.write(struct.pack(">I", 3) + go)
            p.stdin.flush()
            heard = 0
            while True:
                magic, option, kind, length = struct.unpack(">QIII", p.stdout.read(20))
                p.stdout.read(length)
                if kind == 1:
                    break
            data = b"0123456789abcdef" * 32768
            p.stdin.write(struct.pack(">IHHQQI", 0x25609513, 0, 1, 1, 0, len(data)) + data)
            p.stdin.write(struct.pack(">IHHQQI", 0x25609513, 0, 0, 2, 0, len(data)))
            p.stdin.write(struct.pack(">IHHQQI", 0x25609513, 0, 2, 3, 0, 0))
            p.stdin.flush()
            said = p.stdout.read()
            print(len(said) == 32 + len(data), data in said, p.wait())
            """, farsight())).isEqualTo("b'NBDMAGICIHAVEOPT'\nTrue True 0\n");
    }

    @Test
    void wordsThatContradictEachOtherAreRefused() {
        Commands.Result result = Commands.command(
                        farsight(), "server", "--stdio", "--listen", "localhost:0", "--export", "disk=memory:1MiB")
                .run()
                .expectExit(2);
        assertThat(result.stderr()).contains("leave out --listen");
    }

    /** As systemd does: makes sockets, names them in the environment, and becomes the server. */
    private static final String LAUNCHER = """
        import os, socket, sys
        made = []
        for kind in sys.argv[2].split(","):
            if kind == "tcp":
                s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
                print("tcp port", s.getsockname()[1], flush=True)
            elif kind == "unix":
                s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[3]); s.listen()
            elif kind == "accepted":
                listening = socket.socket(socket.AF_UNIX); listening.bind(sys.argv[3]); listening.listen()
                print("waiting", flush=True)
                s = listening.accept()[0]
            else:
                s = open("/dev/null")
            made.append(os.dup2(s.fileno(), 100 + len(made), inheritable=True))
        for i, fd in enumerate(made):
            os.dup2(fd, 3 + i, inheritable=True)
            os.close(fd)
        os.environ.update(LISTEN_FDS=str(len(made)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join("n" * len(made)))
        print("starting", flush=True)
        os.execv(sys.argv[1], [sys.argv[1], "server", "--export", "disk=memory:1MiB"])
        """;

    private RunningCommand launch(String kinds) {
        return Commands.command("/usr/bin/python3", "-c", LAUNCHER, farsight(), kinds, directory + "/s.sock")
                .start();
    }

    @Test
    void tcpAndUnixSocketsOfOthersAreServedAndLeftWhereTheyAre() {
        try (RunningCommand server = launch("tcp,unix")) {
            String port = server.awaitStdout(Pattern.compile("tcp port (\\d+)"), LIMIT)
                    .group(1);
            for (String uri : new String[] {
                "nbd://127.0.0.1:" + port + "/disk", "nbd+unix:///disk?socket=" + directory + "/s.sock"
            }) {
                assertThat(Commands.command("nbdinfo", "--size", uri)
                                .run()
                                .expectSuccess()
                                .stdout())
                        .isEqualTo("1048576\n");
            }
            server.terminate();
            assertThat(server.await(LIMIT).expectSuccess().stdout())
                    .as("standard output is the launcher's")
                    .doesNotContain("serving");
            assertThat(directory.resolve("s.sock")).exists();
        }
    }

    @Test
    void aConnectionThatWasAcceptedByOthersIsServedToItsEnd() {
        try (RunningCommand server = launch("accepted")) {
            server.awaitStdout(Pattern.compile("waiting"), LIMIT);
            assertThat(Commands.command("nbdinfo", "--size", "nbd+unix:///disk?socket=" + directory + "/s.sock")
                            .run()
                            .expectSuccess()
                            .stdout())
                    .isEqualTo("1048576\n");
            server.await(LIMIT).expectSuccess();
        }
    }

    @Test
    void whatIsNoSocketIsRefusedWithAReason() {
        try (RunningCommand server = launch("file")) {
            assertThat(server.await(LIMIT).expectExit(1).stderr()).contains("descriptor 3 cannot be served");
        }
    }
}

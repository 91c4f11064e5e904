package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** SIGTERM to the packaged server while real clients are at work. */
class SignalsTest {
    private static final Duration LIMIT = Duration.ofSeconds(40);

    @TempDir
    Path directory;

    private Path socket() {
        return directory.resolve("s.sock");
    }

    private RunningCommand serve(String settings, String export) throws IOException {
        Path config = directory.resolve("server.toml");
        Files.writeString(config, """
            [server]
            unix = "%s"
            %s
            [exports.disk]
            %s
            """.formatted(socket(), settings, export));
        RunningCommand server = Commands.command(Project.launcher().toString(), "server", config.toString())
                .start();
        server.awaitStdout(Pattern.compile("serving nbd"), LIMIT);
        return server;
    }

    /** Writes as fast as it can until it is refused, and says which writes were acknowledged. */
    private static final String WRITER = """
        import nbd, sys, errno
        BLOCK = 3000 # no multiple of anything
        h = nbd.NBD()
        h.set_strict_mode(0)
        if sys.argv[2] == "simple":
            h.set_request_structured_replies(False)
        h.connect_unix(sys.argv[1])
        acknowledged, errors = [], set()
        def done(i):
            def callback(error):
                if error.value == 0:
                    acknowledged.append(i)
                else:
                    errors.add(errno.errorcode.get(error.value, error.value))
                return 1
            return callback
        i = 0
        try:
            while h.aio_is_ready() or h.aio_is_processing():
                while h.aio_in_flight() < 32 and not errors:
                    data = bytearray((str(i) + " ").encode() * BLOCK)[:BLOCK]
                    h.aio_pwrite(nbd.Buffer.from_bytearray(data), i % 20000 * BLOCK, completion=done(i))
                    i += 1
                    if i == 200:
                        print("busy", flush=True)
                if h.aio_in_flight() == 0:
                    break
                h.poll(-1)
        except nbd.Error as e:
            errors.add(e.errno)
        latest = {}
        for n in acknowledged:
            latest[n % 20000] = max(n, latest.get(n % 20000, -1))
        for slot, n in latest.items():
            print("acknowledged", slot, n)
        print("errors", sorted(map(str, errors)), "written", i)
        """;

    @ParameterizedTest
    @CsvSource({
        "structured, false",
        "simple, false",
        "structured, true", // blocks of the storage, read, changed and written back
    })
    void everyWriteThatWasAcknowledgedIsThere(String replies, boolean direct) throws IOException {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        Path image = directory.resolve("disk.img");
        try (RunningCommand server = serve("", """
            backend = "file"
            path = "%s"
            create = true
            size = "64MiB"
            direct = %b
            """.formatted(image, direct));
                RunningCommand writer = Commands.command("/usr/bin/python3", "-c", WRITER, socket().toString(), replies)
                        .start()) {
            writer.awaitStdout(Pattern.compile("busy"), LIMIT);
            server.terminate();
            server.await(LIMIT).expectSuccess();
            String told = writer.await(LIMIT).expectSuccess().stdout();
            byte[] bytes = Files.readAllBytes(image);
            int checked = 0;
            for (String line : told.lines().filter(l -> l.startsWith("ack")).toList()) {
                int slot = Integer.parseInt(line.split(" ")[1]);
                int last = Integer.parseInt(line.split(" ")[2]);
                String there = new String(bytes, slot * 3000, 3000, java.nio.charset.StandardCharsets.US_ASCII);
                int found = Integer.parseInt(there.substring(0, there.indexOf(' ')));
                // A later write of the same place may have been done, too, without its answer being heard.
                assertThat(found).as("slot " + slot).isGreaterThanOrEqualTo(last);
                assertThat(there).isEqualTo((found + " ").repeat(3000).substring(0, 3000));
                checked++;
            }
            assertThat(checked).isGreaterThan(100);
            if (replies.equals("structured")) {
                assertThat(told).contains("ESHUTDOWN");
            } else {
                assertThat(told).doesNotContain("ESHUTDOWN");
            }
        }
    }

    /** A client that has promised payload and does not send it. */
    private SocketChannel stuckClient() throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        channel.connect(UnixDomainSocketAddress.of(socket()));
        ByteBuffer said = ByteBuffer.allocate(100);
        said.putInt(3)
                .putLong(0x49484156454f5054L)
                .putInt(7)
                .putInt(6)
                .putInt(0)
                .putShort((short) 0);
        said.putInt(0x25609513)
                .putShort((short) 0)
                .putShort((short) 1)
                .putLong(1)
                .putLong(0)
                .putInt(4096);
        channel.write(said.put(new byte[100 - said.position()]).flip());
        ByteBuffer heard = ByteBuffer.allocate(18 + 20 + 12 + 20);
        while (heard.hasRemaining()) {
            assertThat(channel.read(heard)).isPositive();
        }
        return channel;
    }

    @Test
    void aStopIsOverWithinItsTimeWhateverClientsDo() throws IOException {
        try (RunningCommand server = serve("shutdown_timeout = \"500ms\"", "backend = \"memory\"\nsize = \"1MiB\"");
                SocketChannel stuck = stuckClient()) {
            server.terminate();
            server.await(LIMIT).expectSuccess();
            assertThat(stuck.isOpen()).isTrue();
        }
    }

    @Test
    void aSecondSignalEndsItAtOnce() throws IOException, InterruptedException {
        try (RunningCommand server = serve("shutdown_timeout = \"10m\"", "backend = \"memory\"\nsize = \"1MiB\"");
                SocketChannel stuck = stuckClient()) {
            server.terminate();
            long limit = System.nanoTime() + LIMIT.toNanos();
            while (Files.exists(socket()) && System.nanoTime() < limit) {
                Thread.onSpinWait();
            }
            assertThat(socket()).doesNotExist();
            server.terminate();
            server.await(LIMIT).expectExit(128 + 15);
            assertThat(stuck.isOpen()).isTrue();
        }
    }
}

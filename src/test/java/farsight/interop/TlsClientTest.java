package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.client.ClientOptions;
import farsight.client.NbdClient;
import farsight.tools.Commands;
import farsight.tools.Requires;
import farsight.tools.RunningCommand;
import farsight.tools.TestAuthority;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** This client over TLS against servers of others: the ones that it wants, and the ones that it must not believe. */
class TlsClientTest {
    private static final int SIZE = 16 << 20;
    private static final Instant TOMORROW = Instant.now().plus(Duration.ofDays(1));
    private static final Instant YESTERDAY = Instant.now().minus(Duration.ofDays(1));
    private static final TestAuthority AUTHORITY = new TestAuthority("the authority");

    @TempDir
    private Path directory;

    private Path certificates(String name, Instant until, String... hosts) throws IOException {
        Path own = AUTHORITY.trustedIn(directory.resolve(name));
        AUTHORITY.issue(own, "client", "client", TOMORROW);
        return AUTHORITY.issue(own, "server", "server", until, hosts);
    }

    private RunningCommand nbdkit(String... tls) throws IOException {
        Requires.tool("nbdkit", "nbdkit");
        Path pid = directory.resolve("pid");
        Files.deleteIfExists(pid);
        Files.deleteIfExists(directory.resolve("socket"));
        java.util.List<String> words = new java.util.ArrayList<>(java.util.List.of(
                "nbdkit",
                "-f",
                "-P",
                pid.toString(),
                "-U",
                directory.resolve("socket").toString()));
        words.addAll(java.util.List.of(tls));
        words.addAll(java.util.List.of("memory", Integer.toString(SIZE)));
        return Commands.command(words).start();
    }

    /** Waits until the server has written its process number, which it does when it listens. */
    private void ready(RunningCommand server) {
        long deadline = System.nanoTime() + 30_000_000_000L;
        while (!Files.exists(directory.resolve("pid"))) {
            assertThat(System.nanoTime()).as("ready: " + server).isLessThan(deadline);
            Thread.onSpinWait();
        }
    }

    private String uri(String parameters) {
        return "nbds+unix://" + "/?socket=" + directory.resolve("socket") + parameters;
    }

    /** Many requests at once, in both directions, of several sizes. */
    private static void use(String uri) throws IOException {
        try (NbdClient client = NbdClient.connect(uri, ClientOptions.DEFAULT.withConnections(2));
                Arena arena = Arena.ofShared()) {
            byte[] content = new byte[SIZE];
            new Random(7).nextBytes(content);
            MemorySegment source = arena.allocate(SIZE);
            MemorySegment.copy(content, 0, source, ValueLayout.JAVA_BYTE, 0, SIZE);
            MemorySegment target = arena.allocate(SIZE);
            CompletableFuture<?>[] writes = new CompletableFuture<?>[64];
            for (int i = 0; i < 64; i++) {
                long at = (long) i * (SIZE / 64);
                writes[i] = client.writeAsync(source.asSlice(at, SIZE / 64), at, false);
            }
            CompletableFuture.allOf(writes).join();
            client.flush();
            client.read(target, 0);
            assertThat(target.mismatch(source)).isEqualTo(-1);
        }
    }

    @Test
    void nbdkitThatRequiresTlsAndAClientCertificate() throws IOException {
        Path own = certificates("good", TOMORROW, "localhost");
        try (RunningCommand server = nbdkit("--tls=require", "--tls-verify-peer", "--tls-certificates=" + own)) {
            ready(server);
            use(uri("&tls-certificates=" + own));
        }
    }

    @Test
    void qemuNbdThatRequiresTls() throws IOException {
        Requires.tool("qemu-nbd", "qemu-utils");
        Path own = certificates("good", TOMORROW, "disk.example");
        Path image = directory.resolve("image");
        Files.write(image, new byte[SIZE]);
        Path pid = directory.resolve("pid");
        try (RunningCommand server = Commands.command(
                        "qemu-nbd",
                        "-t",
                        "-e",
                        "4",
                        "-f",
                        "raw",
                        "--pid-file=" + pid,
                        "-k",
                        directory.resolve("socket").toString(),
                        "--object",
                        "tls-creds-x509,id=t,endpoint=server,verify-peer=on,dir=" + own,
                        "--tls-creds",
                        "t",
                        image.toString())
                .start()) {
            ready(server);
            use(uri("&tls-hostname=disk.example&tls-certificates=" + own));
        }
    }

    @Test
    void aServerThatIsNotTheOneWantedIsNotBelieved() throws IOException {
        Path other = certificates("other", TOMORROW, "other.example");
        try (RunningCommand server = nbdkit("--tls=require", "--tls-certificates=" + other)) {
            ready(server);
            assertThatThrownBy(() -> use(uri("&tls-certificates=" + other)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("localhost");
            use(uri("&tls-hostname=other.example&tls-certificates=" + other));
            use(uri("&tls-verify-peer=false"));
            Path stranger = new TestAuthority("another authority").trustedIn(directory.resolve("stranger"));
            assertThatThrownBy(() -> use(uri("&tls-hostname=other.example&tls-certificates=" + stranger)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("unable to find valid certification path");
            assertThatThrownBy(() -> use(uri("&tls-hostname=other.example")))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("unable to find valid certification path");
        }
        Path old = certificates("old", YESTERDAY, "localhost");
        try (RunningCommand server = nbdkit("--tls=require", "--tls-certificates=" + old)) {
            ready(server);
            assertThatThrownBy(() -> use(uri("&tls-certificates=" + old)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("NotAfter");
        }
    }

    @Test
    void aServerWithoutTlsIsRefusedAndNothingGoesOnInTheClear() throws IOException {
        Path own = certificates("good", TOMORROW, "localhost");
        try (RunningCommand server = nbdkit()) {
            ready(server);
            assertThatThrownBy(() -> use(uri("&tls-certificates=" + own)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("the server does not offer TLS");
        }
    }

    @Test
    void aDirectoryWithoutAnAuthorityIsSaidBeforeAnythingIsConnected() {
        assertThatThrownBy(() -> use(uri("&tls-certificates=" + directory)))
                .isInstanceOf(IOException.class)
                .hasMessage(directory.resolve("ca-cert.pem")
                        + ": there is no such file; it says which authority signs the server's certificate");
    }
}

package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.BlockDevice;
import farsight.client.NbdClient;
import farsight.server.NbdServer;
import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Servers within other programs, of which one is the example of src/docs/embedding.md. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EmbeddingTest {
    @TempDir
    private Path directory;

    private Path socket;

    @BeforeEach
    void place() {
        socket = directory.resolve("socket");
    }

    private String uri(String export) {
        return "nbd+unix:///" + export + "?socket=" + socket;
    }

    // ---- the example ---------------------------------------------------------------------------------------------

    private Path example() throws IOException {
        String guide = Files.readString(Project.ROOT.resolve("src/docs/embedding.md"));
        int from = guide.indexOf("```java\n") + "```java\n".length();
        return Files.writeString(directory.resolve("Embedded.java"), guide.substring(from, guide.indexOf("```", from)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"module path", "class path"})
    void theExampleOfTheGuideServesRealClients(String path) throws Exception {
        Requires.tool("nbdinfo", "libnbd-bin");
        Path jars = Project.launcher().getParent().resolveSibling("lib");
        String java = Path.of(System.getProperty("java.home"), "bin/java").toString();
        List<String> words = path.equals("module path")
                ? List.of(
                        "--enable-native-access=farsight",
                        "--module-path",
                        jars.toString(),
                        "--add-modules",
                        "farsight")
                : List.of("--enable-native-access=ALL-UNNAMED", "--class-path", jars + "/*");
        ProcessBuilder builder = new ProcessBuilder(java);
        builder.command().addAll(words);
        builder.command().addAll(List.of(example().toString(), socket.toString()));
        Process program = builder.redirectErrorStream(true).start();
        try (BufferedReader out = program.inputReader(StandardCharsets.UTF_8)) {
            for (String export : List.of("limited", "numbers", "scratch")) {
                assertThat(out.readLine()).contains("/" + export + "?");
            }
            assertThat(size("numbers")).isEqualTo("1048576");
            assertThat(size("scratch")).isEqualTo("67108864");
            assertThat(size("limited")).isEqualTo("1048576");
            Path copy = directory.resolve("copy");
            Commands.command("nbdcopy", uri("numbers"), copy.toString()).run().expectSuccess();
            byte[] bytes = Files.readAllBytes(copy);
            assertThat(bytes).hasSize(1 << 20);
            assertThat(bytes[12345]).isEqualTo((byte) 12345);
            program.outputWriter().append('\n').flush();
            String rest = String.join("\n", out.lines().toList());
            assertThat(rest).endsWith("1048576 bytes were read");
            assertThat(program.waitFor()).isZero();
        } finally {
            program.destroyForcibly();
        }
    }

    private String size(String export) {
        return Commands.command("nbdinfo", "--size", uri(export))
                .run()
                .expectSuccess()
                .stdout()
                .strip();
    }

    // ---- in this process -----------------------------------------------------------------------------------------

    /** A disk on the heap, which counts how often it is closed. */
    private record Disk(byte[] bytes, AtomicInteger closes) implements BlockDevice {
        Disk() {
            this(new byte[1 << 20], new AtomicInteger());
        }

        @Override
        public long size() {
            return bytes.length;
        }

        @Override
        public void read(MemorySegment target, long offset) {
            target.copyFrom(MemorySegment.ofArray(bytes).asSlice(offset, target.byteSize()));
        }

        @Override
        public void write(MemorySegment source, long offset) {
            MemorySegment.ofArray(bytes).asSlice(offset, source.byteSize()).copyFrom(source);
        }

        @Override
        public void close() {
            closes.incrementAndGet();
        }
    }

    private NbdServer.Builder builder() {
        return NbdServer.builder().listen("unix:" + socket);
    }

    @Test
    void aDeviceLivesAsLongAsTheServerWhateverItsClientsDo() throws Exception {
        Disk used = new Disk();
        Disk unused = new Disk();
        try (NbdServer server =
                builder().export("used", used).export("unused", unused).start()) {
            for (byte round = 1; round <= 3; round++) {
                try (NbdClient client = NbdClient.connect(uri("used"));
                        Arena arena = Arena.ofShared()) {
                    MemorySegment data = arena.allocate(512).fill(round);
                    client.writeAsync(data, 512, false).get();
                }
                assertThat(used.bytes()[600]).isEqualTo(round);
                assertThat(used.closes()).hasValue(0);
            }
            assertThat(server.uris()).containsExactly(uri("unused"), uri("used"));
        }
        assertThat(used.closes()).hasValue(1);
        assertThat(unused.closes()).hasValue(1);
    }

    /** A program's own devices have the rules that a file's exports have. */
    @Test
    void theConfigurationHasRulesForDevices() throws Exception {
        Disk disk = new Disk();
        try (NbdServer server =
                builder().configuration("""
                    [server]
                    max_connections = 1

                    [exports.named]
                    backend = "device"
                    device = "mine"
                    read_only = true
                    """).export("mine", disk).start()) {
            assertThat(server.uris()).containsExactly(uri("named"));
            try (NbdClient client = NbdClient.connect(uri("named"));
                    Arena arena = Arena.ofShared()) {
                assertThat(client.size()).isEqualTo(1 << 20);
                MemorySegment data = arena.allocate(512).fill((byte) 1);
                assertThatThrownBy(() -> client.writeAsync(data, 0, false).get())
                        .hasMessageContaining("EPERM");
                assertThat(data.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 1);
                assertThat(server.connections()).isEqualTo(1);
                assertThatThrownBy(() -> NbdClient.connect(uri("named"))).isInstanceOf(IOException.class);
            }
        }
        assertThat(disk.closes()).hasValue(1);
    }

    @Test
    void aFileDoesWhatItDoesForTheCommand() throws Exception {
        Path file = Files.writeString(directory.resolve("server.toml"), """
            [server]
            unix = "%s"
            [exports.disk]
            backend = "memory"
            size = "3MiB"
            """.formatted(socket));
        try (NbdServer server = NbdServer.builder().configuration(file).start();
                NbdClient client = NbdClient.connect(uri("disk"))) {
            assertThat(server.uris()).containsExactly(uri("disk"));
            assertThat(client.size()).isEqualTo(3 << 20);
        }
    }

    @Test
    void whatCannotBeIsToldAndLeavesNothingBehind() {
        Disk disk = new Disk();
        assertThatThrownBy(() -> builder()
                        .configuration("[server]\nmax_conections = 1\n[exports.a]\nbackend = 'device'\n")
                        .export("a", disk)
                        .start())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("configuration:2:1: unknown key 'max_conections'")
                .hasMessageContaining("configuration:3:1: [exports.a] needs device = ...");
        assertThat(disk.closes()).hasValue(1);
        assertThat(socket).doesNotExist();
        assertThatThrownBy(() -> builder().export("a", "flie:/x").start())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("did you mean 'file'?");
        assertThatThrownBy(() -> NbdServer.builder().listen("nowhere")).isInstanceOf(IllegalArgumentException.class);
        Disk other = new Disk();
        assertThatThrownBy(() -> NbdServer.builder()
                        .listen("unix:" + directory.resolve("missing/socket"))
                        .export("a", other)
                        .start())
                .isInstanceOf(IOException.class);
        assertThat(other.closes()).hasValue(1);
    }

    /** The packages that other programs may use are these. */
    @Test
    void theModuleExportsThreePackages() {
        assertThat(NbdServer.class.getModule().getDescriptor().exports())
                .filteredOn(exported -> !exported.isQualified())
                .extracting(java.lang.module.ModuleDescriptor.Exports::source)
                .containsExactlyInAnyOrder("farsight.backend", "farsight.client", "farsight.server");
    }
}

package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.bindings.linux.Linux;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How modules are found; that they are loaded is for {@code KernelModuleInGuestTest}. */
class KernelModuleTest {
    @TempDir
    Path modules;

    /** What the kernel was asked, and what it answers in turn. */
    private final List<String> asked = new ArrayList<>();

    private final Deque<Integer> answers = new ArrayDeque<>();
    private final KernelModule.Kernel kernel = (fd, parameters, flags) -> {
        try {
            String content =
                    Files.readString(Path.of("/proc/self/fd", Integer.toString(fd)), StandardCharsets.ISO_8859_1);
            asked.add(content + " (" + parameters + ") " + flags);
            return answers.pop();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    };

    /** Loads a module that nobody has, from a file with the text "module", to begin with. */
    private void load(String suffix, int... errnos) throws IOException {
        Path file = modules.resolve("no_such.ko" + suffix);
        if (suffix.equals(".gz")) {
            try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
                out.write("module".getBytes(StandardCharsets.US_ASCII));
            }
        } else {
            Files.writeString(file, "module" + suffix);
        }
        for (int errno : errnos) {
            answers.add(-errno);
        }
        module("no_such", "no_such.ko" + suffix + ":\n").load("a=1");
    }

    @Test
    void aPlainModuleIsGivenToTheKernelAsItIs() throws IOException {
        load("", 0);
        assertThat(asked).containsExactly("module (a=1) 0");
    }

    @ParameterizedTest
    @ValueSource(strings = {".xz", ".zst"})
    void aCompressedModuleIsDecompressedByTheKernel(String suffix) throws IOException {
        load(suffix, 0);
        assertThat(asked).containsExactly("module" + suffix + " (a=1) " + Linux.MODULE_INIT_COMPRESSED_FILE());
    }

    @Test
    void aKernelThatCannotDecompressIsGivenWhatJavaCan() throws IOException {
        answers.add(-Linux.EOPNOTSUPP());
        load(".gz", 0);
        assertThat(asked).hasSize(2);
        assertThat(asked.getFirst()).endsWith(" (a=1) " + Linux.MODULE_INIT_COMPRESSED_FILE());
        assertThat(asked.getLast()).isEqualTo("module (a=1) 0");
    }

    @ParameterizedTest
    @ValueSource(strings = {".xz", ".zst"})
    void whatNobodyCanDecompressIsForModprobe(String suffix) {
        assertThatThrownBy(() -> load(suffix, Linux.EINVAL()))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("no_such.ko" + suffix)
                .hasMessageContaining("this kernel cannot decompress modules itself: run 'modprobe' beforehand");
        assertThat(asked).hasSize(1);
    }

    @Test
    void aModuleThatSomebodyElseHasJustLoadedIsThere() throws IOException {
        load(".xz", Linux.EEXIST());
        assertThat(asked).hasSize(1);
    }

    @Test
    void aSignatureThatIsNotKnownIsNoQuestionOfCompression() {
        assertThatThrownBy(() -> load(".zst", Linux.EKEYREJECTED()))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("secure boot");
    }

    private KernelModule module(String name, String dep) throws IOException {
        Files.writeString(modules.resolve("modules.dep"), dep);
        return KernelModule.of(name, modules, kernel);
    }

    @Test
    void whatAModuleNeedsComesFirst() throws IOException {
        assertThat(module("a-b", """
            kernel/x_a-b.ko:
            kernel/a_b.ko.xz: kernel/needs-c.ko.zst kernel/c.ko.gz
            kernel/c.ko.gz:
            """).files())
                .containsExactly(
                        modules.resolve("kernel/c.ko.gz"),
                        modules.resolve("kernel/needs-c.ko.zst"),
                        modules.resolve("kernel/a_b.ko.xz"));
    }

    @Test
    void aModuleThatNeedsNothingIsAlone() throws IOException {
        assertThat(module("nbd", "kernel/drivers/block/nbd.ko:\n").files())
                .containsExactly(modules.resolve("kernel/drivers/block/nbd.ko"));
    }

    @Test
    void whatIsBuiltInNeedsNoFile() throws IOException {
        Files.writeString(modules.resolve("modules.builtin"), "kernel/drivers/block/nbd.ko\n");
        assertThat(module("nbd", "").files()).isEmpty();
    }

    @Test
    void aMissingModuleNamesThePackage() throws IOException {
        assertThatThrownBy(() ->
                        module("nbd", "kernel/nbdx.ko:\nkernel/nbd.kobold:\n").files())
                .isInstanceOf(IOException.class)
                .hasMessage("the kernel's driver nbd is not loaded, and not among its modules (" + modules
                        + "/modules.dep): install the package with all modules of this kernel, such as"
                        + " linux-modules-extra or kernel-modules-extra");
    }

    @Test
    void withoutModulesAtAllItIsForTheHost() {
        assertThatThrownBy(() -> KernelModule.of("nbd", modules, kernel).files())
                .isInstanceOf(IOException.class)
                .hasMessage("the kernel's driver nbd is not loaded, and the modules of this kernel are not here ("
                        + modules + "/modules.dep): run 'modprobe nbd' on the host");
    }

    @Test
    void theAdministratorsOptionsAreThoseOfModprobe() throws IOException {
        Path own = Files.createDirectory(modules.resolve("own"));
        Path shipped = Files.createDirectory(modules.resolve("shipped"));
        Files.writeString(own.resolve("nbd.conf"), "# options nbd no=1\noptions nbd nbds_max=64 \\\n max_part=8\n");
        Files.writeString(shipped.resolve("nbd.conf"), "options nbd hidden=1\n");
        Files.writeString(shipped.resolve("other.conf"), "options  n-b_d  x=1\noptions nbdx y=1\noptions nbd z=1\n");
        Files.writeString(shipped.resolve("other.txt"), "options nbd unread=1\n");
        List<Path> directories = List.of(own, shipped, modules.resolve("none"));
        assertThat(module("nbd", "").options(directories)).isEqualTo("nbds_max=64   max_part=8 z=1");
        assertThat(module("n_b_d", "").options(directories)).isEqualTo("x=1");
    }

    @Test
    void whatIsNoModuleIsRefusedByTheKernel() throws IOException {
        Files.writeString(modules.resolve("no-module.ko"), "nothing\n");
        Files.writeString(modules.resolve("modules.dep"), "no-module.ko:\n");
        KernelModule module = KernelModule.of("no-module", modules, KernelModule::init);
        assertThatThrownBy(() -> module.load(""))
                .isInstanceOf(IOException.class)
                .hasMessageMatching(
                        "cannot load .*/no-module\\.ko: .*; (it is not made for|run as root|see 'dmesg').*");
    }
}

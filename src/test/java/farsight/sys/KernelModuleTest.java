package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How modules are found; that they are loaded is for {@code KernelModuleInGuestTest}. */
class KernelModuleTest {
    @TempDir
    Path modules;

    private KernelModule module(String name, String dep) throws IOException {
        Files.writeString(modules.resolve("modules.dep"), dep);
        return KernelModule.of(name, modules);
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
        assertThatThrownBy(() -> KernelModule.of("nbd", modules).files())
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
        assertThatThrownBy(() -> module("no-module", "no-module.ko:\n").load(""))
                .isInstanceOf(IOException.class)
                .hasMessageMatching(
                        "cannot load .*/no-module\\.ko: .*; (it is not made for|run as root|see 'dmesg').*");
    }
}

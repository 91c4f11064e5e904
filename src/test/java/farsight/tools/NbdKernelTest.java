package farsight.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The kernel for tests, itself tested with programs that are known to work. */
class NbdKernelTest {
    @BeforeEach
    void kernel() {
        NbdKernel.assumeAvailable();
    }

    @Test
    void statusAndOutputComeBackApart() {
        Commands.Result result = new NbdKernel().run("sh", "-c", "id -u; ls -d /sys/block/nbd0; echo no >&2; exit 3");
        assertEquals(3, result.exit());
        assertEquals("0\n/sys/block/nbd0\n", result.stdout());
        assertEquals("no\n", result.stderr());
    }

    @Test
    void onlySharedDirectoriesKeepWhatTheGuestWrites(@TempDir Path shared, @TempDir Path other) throws IOException {
        new NbdKernel()
                .share(shared)
                .run("sh", "-c", "echo kept >$0/file; echo gone >$1/file", shared.toString(), other.toString())
                .expectSuccess();
        assertEquals("kept\n", Files.readString(shared.resolve("file")));
        assertFalse(Files.exists(other.resolve("file")));
    }

    @Test
    void aGuestOverItsLimitIsEndedAndItsKernelsLogShown() {
        Commands.Result result = new NbdKernel().limit(Duration.ofSeconds(5)).run("sleep", "1000");
        assertEquals(124, result.exit());
        assertTrue(result.stderr().contains("over the time limit of 5 s"), result.stderr());
        assertTrue(result.stderr().contains("as init process"), result.stderr());
    }

    @Test
    void whatTheServersPrintedIsShownWhenTheCommandFails() {
        Commands.Result result = new NbdKernel().server("echo cannot listen").run("false");
        assertEquals(1, result.exit());
        assertTrue(result.stderr().contains("\ncannot listen\n"), result.stderr());
    }

    @Test
    void serverAndDeviceWorkTogether() {
        Requires.tool("nbdkit", "nbdkit");
        Requires.tool("nbd-client", "nbd-client");
        Requires.tool("mkfs.ext4", "e2fsprogs");
        new NbdKernel()
                .server("exec nbdkit --foreground --ipaddr " + NbdKernel.HOST + " memory 64M")
                .run("bash", "-c", """
                    set -e -o pipefail
                    nbd-client %s /dev/nbd0 -b 4096 >&2
                    mkfs.ext4 -q /dev/nbd0
                    mount /dev/nbd0 /mnt
                    dd if=/dev/urandom of=/mnt/file bs=1M count=10 status=none
                    written=$(sha256sum </mnt/file)
                    umount /mnt
                    mount /dev/nbd0 /mnt
                    [ "$(sha256sum </mnt/file)" = "$written" ]
                    umount /mnt
                    nbd-client -d /dev/nbd0 >&2
                    [ "$(cat /sys/block/nbd0/size)" = 0 ]
                    """.formatted(NbdKernel.HOST))
                .expectSuccess();
    }
}

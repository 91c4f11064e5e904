package farsight.device;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.client.Negotiated;
import farsight.config.DeviceConfig;
import farsight.config.NbdUri;
import farsight.protocol.Nbd;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** When a connection is to the same export as before, and the small rules around it. */
class ExpectedTest {
    private static final int FLAGS = Nbd.NBD_FLAG_HAS_FLAGS | Nbd.NBD_FLAG_SEND_FLUSH | Nbd.NBD_FLAG_SEND_TRIM;
    private static final Expected FOLLOWING = new Expected("disk", 4096 * 10, FLAGS, 4096, true);
    private static final Expected FIXED = new Expected("disk", 4096 * 10, FLAGS, 4096, false);

    private static Negotiated export(String name, long size, int flags) {
        return new Negotiated(name, size, flags, "", 1, 4096, 1 << 20);
    }

    @Test
    void theSameExportIsTaken() {
        assertThat(FIXED.problem(export("disk", 4096 * 10, FLAGS))).isEmpty();
        assertThat(FIXED.problem(export("disk", 4096 * 10 + 4095, FLAGS)))
                .as("less than a block more")
                .isEmpty();
        assertThat(FIXED.problem(export("disk", 4096 * 10, FLAGS | Nbd.NBD_FLAG_SEND_FUA)))
                .as("more than before")
                .isEmpty();
    }

    @Test
    void aSmallerOneIsRefused() {
        assertThat(FOLLOWING.problem(export("disk", 4096 * 9, FLAGS)))
                .contains("the export has 36864 bytes and not 40960");
        assertThat(FIXED.problem(export("disk", 4096 * 9, FLAGS))).isPresent();
    }

    @Test
    void aLargerOneIsTakenWhereItIsFollowed() {
        assertThat(FOLLOWING.problem(export("disk", 4096 * 11, FLAGS))).isEmpty();
        assertThat(FIXED.problem(export("disk", 4096 * 11, FLAGS))).isPresent();
    }

    @Test
    void anotherOneIsRefused() {
        assertThat(FIXED.problem(export("other", 4096 * 10, FLAGS)))
                .contains("it is another export, 'other' and not 'disk'");
        assertThat(FIXED.problem(export("disk", 4096 * 10, FLAGS & ~Nbd.NBD_FLAG_SEND_TRIM)))
                .contains("the export no longer has SEND_TRIM");
        assertThat(FIXED.problem(export("disk", 4096 * 10, FLAGS | Nbd.NBD_FLAG_READ_ONLY)))
                .contains("the export is read-only now");
    }

    @Test
    void attemptsComeLessAndLessOften() {
        Backoff backoff = new Backoff();
        long[] waits = new long[8];
        for (int i = 0; i < waits.length; i++) {
            waits[i] = backoff.next();
        }
        assertThat(waits).containsExactly(100, 200, 400, 800, 1600, 3200, 5000, 5000);
        backoff.reset();
        assertThat(backoff.next()).isEqualTo(100);
    }

    @Test
    void identifiersAreTheUriAsFarAsItFits() {
        NbdUri small = NbdUri.tcp("host", 10809, "disk");
        assertThat(Identifier.of(small)).isEqualTo("nbd://host/disk");
        String one = Identifier.of(NbdUri.tcp("host", 10809, "x".repeat(4000) + "1"));
        String other = Identifier.of(NbdUri.tcp("host", 10809, "x".repeat(4000) + "2"));
        assertThat(one).hasSize(1024).startsWith("nbd://host/xxx").isNotEqualTo(other);
    }

    @Test
    void theKernelWaitsAsLongAsTheClientReconnects() {
        DeviceConfig preset = DeviceConfig.DEFAULT;
        assertThat(KernelTimes.of(preset, 1).timeout()).isZero();
        assertThat(KernelTimes.of(preset, 1).deadTimeout()).isEqualTo(300);
        assertThat(KernelTimes.of(preset, 1).offering()).isPositive();
        assertThat(KernelTimes.of(preset, 4).timeout()).isEqualTo(10);
        DeviceConfig forEver = new DeviceConfig(
                null,
                DeviceConfig.Attach.AUTO,
                0,
                0,
                Duration.ofMillis(1500),
                Duration.ZERO,
                Duration.ZERO,
                false,
                false,
                Duration.ZERO);
        assertThat(KernelTimes.of(forEver, 4).timeout()).isEqualTo(2);
        assertThat(KernelTimes.of(forEver, 1).deadTimeout()).isGreaterThan(300_000_000);
    }
}

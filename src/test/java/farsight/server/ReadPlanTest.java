package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Plans of sparse reads: runs cover the read, and only zeroes that were told are left out. */
class ReadPlanTest {
    private static final int BLOCK = 512;

    @Test
    void runsCoverTheReadAndSkipNothingButZeroes() {
        Random random = new Random(3);
        ReadPlan plan = new ReadPlan();
        for (int round = 0; round < 2000; round++) {
            int range = (1 + random.nextInt(2000)) * BLOCK;
            BitSet zero = new BitSet();
            plan.begin(range, BLOCK);
            int told = 0;
            boolean wanted = true;
            while (wanted && told < range && random.nextInt(200) != 0) {
                int length = 1 + random.nextInt(random.nextBoolean() ? 40 * BLOCK : 1000);
                boolean isZero = random.nextBoolean();
                if (isZero) {
                    zero.set(told, Math.min(told + length, range));
                }
                wanted = plan.extent(length, isZero, isZero);
                told += length;
            }
            long done = 0;
            while (done < range) {
                boolean skipped = plan.zeroAt(done);
                long run = plan.run(done);
                assertThat(run).isPositive();
                assertThat(done + run).isLessThanOrEqualTo(range);
                if (skipped) {
                    assertThat(done % BLOCK).isZero();
                    assertThat(run % BLOCK).isZero();
                    assertThat(run).isGreaterThanOrEqualTo(4096);
                    assertThat(zero.nextClearBit((int) done)).isGreaterThanOrEqualTo((int) (done + run));
                }
                // A device may give less than a run at once.
                done += skipped ? run : Math.min(run, 7 * BLOCK);
            }
        }
    }

    @Test
    void whatIsNotToldIsData() {
        ReadPlan plan = new ReadPlan();
        plan.begin(1 << 20, 1);
        assertThat(plan.zeroAt(0)).isFalse();
        assertThat(plan.run(0)).isEqualTo(1 << 20);
        plan.extent(4096, true, true);
        assertThat(plan.zeroAt(0)).isTrue();
        assertThat(plan.run(0)).isEqualTo(4096);
        assertThat(plan.zeroAt(4096)).isFalse();
        assertThat(plan.run(4096)).isEqualTo((1 << 20) - 4096);
    }

    @Test
    void aHoleThatIsNotZeroIsRead() {
        ReadPlan plan = new ReadPlan();
        plan.begin(1 << 20, 1);
        plan.extent(1 << 20, true, false);
        assertThat(plan.zeroAt(0)).isFalse();
    }
}

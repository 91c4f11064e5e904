package farsight.loop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import farsight.sys.ErrnoException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which buffers come back when: never one that a send still uses. */
class ZeroCopySendsTest {
    private static final int SIZE = 64 << 10;

    private final ZeroCopySends sends = new ZeroCopySends(false);
    private Pool pool;

    @BeforeEach
    void open() throws ErrnoException {
        pool = new Pool(64 << 20);
    }

    @AfterEach
    void close() {
        pool.close();
    }

    private Buffer send() {
        Buffer buffer = pool.take(SIZE);
        sends.sent();
        sends.release(buffer);
        return buffer;
    }

    @Test
    void withoutSendsABufferComesBackAtOnce() {
        sends.release(pool.take(SIZE));
        assertThat(pool.inUse()).isZero();
        assertThat(sends.outstanding()).isFalse();
    }

    @Test
    void aBufferComesBackWithTheLastSendBeforeIt() {
        send();
        sends.sent();
        send();
        sends.over(0, 0);
        assertThat(pool.inUse()).isEqualTo(1);
        sends.over(1, 1);
        assertThat(pool.inUse()).isEqualTo(1);
        assertThat(sends.outstanding()).isTrue();
        sends.over(2, 2);
        assertThat(pool.inUse()).isZero();
        assertThat(sends.outstanding()).isFalse();
    }

    @Test
    void oneThatIsOverEarlyWaitsForTheOthers() {
        for (int i = 0; i < 6; i++) {
            send();
        }
        sends.over(4, 5);
        sends.over(2, 2);
        assertThat(pool.inUse()).isEqualTo(6);
        sends.over(0, 1);
        assertThat(pool.inUse()).isEqualTo(3);
        sends.over(3, 3);
        assertThat(pool.inUse()).isZero();
    }

    @Test
    void notesComeInAnyOrder() {
        Random random = new Random(7);
        for (int i = 0; i < 5; i++) {
            sends.sent();
        }
        sends.over(0, 4);
        int at = 5;
        for (int round = 0; round < 1000; round++) {
            List<int[]> ranges = new ArrayList<>();
            while (ranges.size() < 5) {
                int first = at;
                int count = 1 + random.nextInt(3);
                for (int i = 0; i < count; i++) {
                    send();
                    at++;
                }
                ranges.add(new int[] {first, at - 1});
            }
            Collections.shuffle(ranges, random);
            for (int i = 0; i < ranges.size(); i++) {
                assertThat(sends.outstanding()).as("round " + round).isTrue();
                sends.over(ranges.get(i)[0], ranges.get(i)[1]);
            }
            assertThat(pool.inUse()).as("round " + round).isZero();
            assertThat(sends.outstanding()).isFalse();
        }
    }

    @Test
    void memoryThatWaitsIsBounded() {
        int sent = 0;
        while (sends.suits(1 << 20, 4)) {
            send();
            sent++;
        }
        assertThat(sent * (long) SIZE).isEqualTo(4 << 20);
        sends.over(0, 0);
        assertThat(sends.wanted()).isTrue();
        sends.over(1, sent - 1);
    }

    @Test
    void littleIsNotWorthIt() {
        assertThat(sends.suits(64 << 10, 2)).isTrue();
        assertThat(sends.suits((64 << 10) - 1, 1)).isFalse();
        assertThat(sends.suits(256 << 10, 17)).isFalse();
    }

    @Test
    void whatIsLeftAtTheEndComesBack() {
        for (int i = 0; i < 20; i++) {
            send();
        }
        sends.releaseAll();
        assertThat(pool.inUse()).isZero();
        assertThat(sends.outstanding()).isFalse();
    }
}

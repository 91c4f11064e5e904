package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Where a time is counted, and what of a client's inventions is not. */
class TrafficTest {
    @Test
    void aBucketIncludesItsBound() {
        for (int bucket = 0; bucket < Traffic.BUCKETS - 1; bucket++) {
            long bound = Traffic.LEAST_NANOS << bucket;
            assertThat(Traffic.bucket(bound)).isEqualTo(bucket);
            assertThat(Traffic.bucket(bound + 1)).isEqualTo(bucket + 1);
        }
        assertThat(Traffic.bucket(0)).isZero();
        assertThat(Traffic.bucket(-5)).isZero();
        assertThat(Traffic.bucket(Long.MAX_VALUE)).isEqualTo(Traffic.BUCKETS - 1);
    }

    @Test
    void commandsThatDoNotExistAreNotCounted() {
        Traffic traffic = new Traffic();
        for (int command : new int[] {-1, 8, 65535, Integer.MIN_VALUE}) {
            traffic.answered(command, 1, true, 1);
        }
        traffic.answered(7, 5, false, 1);
        traffic.answered(0, 5, true, 1);
        for (int command = 0; command < Traffic.COMMANDS; command++) {
            assertThat(traffic.bytes(command)).isEqualTo(command == 7 ? 5 : 0);
            assertThat(traffic.errors(command)).isEqualTo(command == 0 ? 1 : 0);
        }
    }
}

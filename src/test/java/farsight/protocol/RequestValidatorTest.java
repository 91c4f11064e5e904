package farsight.protocol;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The validator against a model of proto.md that is written in another way: rules in order, in unbounded numbers. */
class RequestValidatorTest {
    private static final int EPERM = 1;
    private static final int EINVAL = 22;
    private static final int ENOSPC = 28;
    private static final int EOVERFLOW = 75;

    private static final int READ_ONLY = 1 << 1;
    private static final int FLUSH = 1 << 2;
    private static final int FUA = 1 << 3;
    private static final int TRIM = 1 << 5;
    private static final int ZEROES = 1 << 6;
    private static final int DF = 1 << 7;
    private static final int CACHE = 1 << 10;
    private static final int FAST_ZERO = 1 << 11;
    private static final int STATUS_PAYLOAD = 1 << 12;

    private record Case(int type, int flags, long offset, long length, int offered, long size, int block) {
        int checked() {
            return RequestValidator.check(type, flags, offset, length, offered, size, block);
        }
    }

    /** What proto.md says of a request, rule by rule. */
    private static int model(Case c) {
        boolean extended = (c.offered & RequestValidator.EXTENDED) != 0;
        List<Integer> legal = new ArrayList<>();
        boolean known = true;
        switch (c.type) {
            case 0 -> add(legal, c.offered, DF, 4);
            case 1 -> add(legal, c.offered, RequestValidator.EXTENDED, 32);
            case 3 -> known = (c.offered & FLUSH) != 0;
            case 4 -> known = (c.offered & (TRIM | READ_ONLY)) != 0;
            case 5 -> known = (c.offered & CACHE) != 0;
            case 6 -> {
                known = (c.offered & (ZEROES | READ_ONLY)) != 0;
                legal.add(2);
                add(legal, c.offered, FAST_ZERO, 16);
            }
            case 7 -> {
                known = (c.offered & RequestValidator.BLOCK_STATUS) != 0;
                legal.add(8);
                add(legal, c.offered, STATUS_PAYLOAD, 32);
            }
            default -> known = false;
        }
        add(legal, c.offered, FUA, 1);
        if (!known) {
            return EINVAL;
        }
        for (int bit = 0; bit < 16; bit++) {
            if ((c.flags & 1 << bit) != 0 && !legal.contains(1 << bit)) {
                return EINVAL;
            }
        }
        if (c.type == 1 && extended && (c.flags & 32) == 0) {
            return EINVAL;
        }
        if (c.type == 3) {
            return c.offset == 0 && c.length == 0 ? 0 : EINVAL;
        }
        boolean writes = c.type == 1 || c.type == 4 || c.type == 6;
        if (writes && (c.offered & READ_ONLY) != 0) {
            return EPERM;
        }
        BigInteger offset = unsigned(c.offset);
        BigInteger length = unsigned(c.length);
        if (c.type == 7 && length.signum() == 0) {
            return EINVAL;
        }
        if (offset.add(length).compareTo(BigInteger.valueOf(c.size)) > 0) {
            return c.type == 1 || c.type == 6 ? ENOSPC : EINVAL;
        }
        BigInteger block = BigInteger.valueOf(c.block);
        if (offset.mod(block).signum() != 0 || length.mod(block).signum() != 0) {
            return EINVAL;
        }
        if (length.compareTo(BigInteger.valueOf(64 << 20)) > 0 && c.type <= 1) {
            return c.type == 0 && (c.offered & DF) != 0 ? EOVERFLOW : EINVAL;
        }
        return 0;
    }

    private static void add(List<Integer> legal, int offered, int needed, int flag) {
        if ((offered & needed) != 0) {
            legal.add(flag);
        }
    }

    private static BigInteger unsigned(long number) {
        return new BigInteger(Long.toUnsignedString(number));
    }

    /** Numbers at which something changes, and their neighbours. */
    private static long interesting(Random random, long size) {
        long[] edges = {0, 512, 4096, 64 << 20, 1L << 31, 1L << 32, Long.MAX_VALUE, Long.MIN_VALUE, -1, size, size / 2};
        long[] steps = {0, 0, 1, -1, 512, -512, 4096, -4096};
        return edges[random.nextInt(edges.length)] + steps[random.nextInt(steps.length)];
    }

    @Test
    void agreesWithTheModelOnAMillionRequests() {
        Random random = new Random(42);
        int[] seen = new int[128];
        for (int i = 0; i < 1_000_000; i++) {
            long[] sizes = {0, 1, 511, 512, 4096, 1 << 20, 1L << 32, (1L << 32) + 4096, Long.MAX_VALUE};
            long size = sizes[random.nextInt(sizes.length)];
            int type = random.nextInt(20) == 0 ? random.nextInt(65536) : random.nextInt(9);
            // Mostly what is likely to pass, so that the later rules are reached.
            int flags =
                    random.nextInt(3) == 0 ? 1 << random.nextInt(16) : random.nextInt(5) == 0 ? random.nextInt() : 0;
            if (type == 1 && random.nextBoolean()) {
                flags |= 32;
            }
            int offered = random.nextInt(4) == 0 ? random.nextInt(1 << 18) : random.nextInt(1 << 18) & ~READ_ONLY;
            Case c = new Case(
                    type == 2 ? 0 : type,
                    flags & 0xffff,
                    interesting(random, size),
                    interesting(random, size),
                    offered,
                    size,
                    1 << random.nextInt(2) * 9);
            int expected = model(c);
            assertThat(c.checked()).as(c.toString()).isEqualTo(expected);
            seen[expected]++;
            if (expected != 0) {
                assertThat(RequestValidator.explain(c.type, c.flags, c.offset, c.length, c.offered, c.size, c.block))
                        .isNotBlank();
            }
        }
        for (int error : new int[] {0, EPERM, EINVAL, ENOSPC, EOVERFLOW}) {
            assertThat(seen[error]).as("requests with the result " + error).isGreaterThan(1000);
        }
    }

    @Test
    void everyFlagOfEveryCommandIsEitherOfferedOrRefused() {
        for (int type = 0; type < 10; type++) {
            for (int bit = 0; bit < 16; bit++) {
                for (int offered : new int[] {0, FUA, DF, FAST_ZERO | ZEROES, 0x3ffff & ~READ_ONLY, 0x3ffff}) {
                    long length = type == 3 ? 0 : 512;
                    Case c = new Case(type == 2 ? 0 : type, 1 << bit, 0, length, offered, 4096, 1);
                    assertThat(c.checked()).as(c.toString()).isEqualTo(model(c));
                }
            }
        }
    }

    @Test
    void onlyWhatHasAPayloadIsFollowedByOne() {
        for (int type = 0; type < 10; type++) {
            assertThat(RequestValidator.payload(type, 0, 77, false)).isEqualTo(type == 1 ? 77 : 0);
            assertThat(RequestValidator.payload(type, 32, 77, false)).isEqualTo(type == 1 ? 77 : 0);
            assertThat(RequestValidator.payload(type, 0, 77, true)).isZero();
            assertThat(RequestValidator.payload(type, 32, 77, true)).isEqualTo(77);
        }
    }
}

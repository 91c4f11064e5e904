package farsight.server;

import farsight.config.ExportRates;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What clients of an export may ask of it in a second, all together. A token bucket for bytes and one for requests, each
 * told by one number: when all that was let through so far will be paid for. Any loop; no locks.
 */
final class Rate {
    /** How far ahead of that time requests may begin: as much as this brings in may be asked at once. */
    private static final long BURST_NANOS = 100_000_000;

    private static final double SECOND = 1e9;

    private final ExportRates rates;
    private final double nanosPerByte;
    private final double nanosPerRequest;
    private final AtomicLong bytesPaid;
    private final AtomicLong requestsPaid;

    /** @param now the time, in nanoseconds of the loops' clock */
    Rate(ExportRates rates, long now) {
        this.rates = rates;
        nanosPerByte = rates.bytes() == 0 ? 0 : SECOND / rates.bytes();
        nanosPerRequest = rates.requests() == 0 ? 0 : SECOND / rates.requests();
        bytesPaid = new AtomicLong(now);
        requestsPaid = new AtomicLong(now);
    }

    ExportRates rates() {
        return rates;
    }

    /** How many nanoseconds from now the next request may begin, whatever its size: 0 for at once. */
    long delay(long now) {
        long late = Math.max(bytesPaid.get() - now, requestsPaid.get() - now);
        return Math.max(0, late - BURST_NANOS);
    }

    /** A request begins. */
    void charge(long now, long bytes) {
        add(requestsPaid, now, (long) nanosPerRequest);
        add(bytesPaid, now, (long) (bytes * nanosPerByte));
    }

    private static void add(AtomicLong paid, long now, long cost) {
        if (cost == 0) {
            return;
        }
        long before;
        long from;
        do {
            before = paid.get();
            from = before - now > 0 ? before : now;
        } while (!paid.compareAndSet(before, from + cost));
    }
}

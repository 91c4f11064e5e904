package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Request;
import farsight.backend.Request.Command;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** Lets through so many requests and bytes a second, over all clients, with what a tenth of a second allows at once. */
final class RateLayer extends Held {
    static final List<Setting> SETTINGS = List.of(
            Setting.optional("iops", Setting.Type.INTEGER, "requests a second"),
            Setting.optional("bytes", Setting.Type.SIZE, "bytes a second that are read and written"));

    private static final long SECOND = 1_000_000_000;
    private static final long BURST = SECOND / 10;

    private final long iops;
    private final long bytes;

    /** When what was let through is paid for, in nanoseconds of {@link System#nanoTime} since {@link #start}. */
    private final AtomicLong paid = new AtomicLong();

    private final AtomicLong paidBytes = new AtomicLong();
    private final long start = System.nanoTime();

    private RateLayer(AsyncBlockDevice below, long iops, long bytes) {
        super(below);
        this.iops = iops;
        this.bytes = bytes;
    }

    static Device over(AsyncBlockDevice below, Settings settings) throws IOException {
        long iops = settings.number("iops").orElse(Long.MAX_VALUE);
        long bytes = settings.number("bytes").orElse(Long.MAX_VALUE);
        if (iops < 1 || bytes < 1) {
            throw new DeviceException(Errno.EINVAL, "layer rate: iops and bytes are at least 1");
        }
        return new RateLayer(below, iops, bytes);
    }

    @Override
    long wait(Request request) {
        long now = System.nanoTime() - start;
        long wait = iops == Long.MAX_VALUE ? 0 : pay(paid, now, SECOND / iops);
        boolean data = request.command() == Command.READ || request.command() == Command.WRITE;
        if (data && bytes != Long.MAX_VALUE) {
            wait = Math.max(wait, pay(paidBytes, now, (long) (request.length() * (double) SECOND / bytes)));
        }
        return wait;
    }

    private static long pay(AtomicLong account, long now, long cost) {
        long before;
        long from;
        do {
            before = account.get();
            from = Math.max(before, now - BURST);
        } while (!account.compareAndSet(before, from + cost));
        return from - now;
    }
}

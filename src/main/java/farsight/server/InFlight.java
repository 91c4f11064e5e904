package farsight.server;

import farsight.config.Limits;
import farsight.loop.Channel;
import farsight.protocol.Nbd;
import java.time.Duration;

/**
 * The requests of one connection that were started and not answered yet, against its limits and the rate of its export.
 * {@link RequestDispatcher} asks it before each request and admits to it, {@link ReplySender} takes away. Loop thread only.
 */
final class InFlight {
    /** A connection over its export's rate is looked at no more often than this, in nanoseconds. */
    private static final long LEAST_RESPITE = 1_000_000;

    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final DeviceIo io;
    private final Limits limits;

    /** Null for as much as there is. */
    private final Rate rate;

    private boolean overRate;
    private int requests;
    private long bytes;

    InFlight(Connection connection, Channel channel, ServerLoop loop, Rate rate, DeviceIo io) {
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.rate = rate;
        this.io = io;
        limits = connection.limits();
    }

    boolean isEmpty() {
        return requests == 0;
    }

    /** Whether one more may be admitted now. */
    boolean hasRoom() {
        return requests < limits.maxRequests()
                && bytes < limits.maxBytes()
                && (rate == null || connection.stopping() || withinRate());
    }

    /** Whether the export is asked for no more than it may be; tries again by itself when it is. */
    private boolean withinRate() {
        long delay = rate.delay(loop.loop().now());
        if (delay > 0 && !overRate) {
            overRate = true;
            loop.loop().after(Duration.ofNanos(Math.max(delay, LEAST_RESPITE)), () -> {
                overRate = false;
                if (!io.isClosed()) {
                    channel.touch();
                }
            });
        }
        return delay == 0;
    }

    /** Whether the rate holds the connection up. */
    boolean overRate() {
        return overRate;
    }

    /**
     * One more begins.
     *
     * @param memory bytes that it needs until it is answered
     * @param now when it was received, by the loop's clock
     */
    void admit(IoRequest request, long memory, long now) {
        requests++;
        request.admitted = memory;
        if (rate != null) {
            boolean payload = request.type == Nbd.NBD_CMD_READ || request.type == Nbd.NBD_CMD_WRITE;
            rate.charge(now, payload ? Math.clamp(request.wanted, 0, Nbd.MAX_PAYLOAD) : 0);
        }
        bytes += memory;
    }

    /** It is answered. */
    void release(IoRequest request) {
        requests--;
        bytes -= request.admitted;
    }
}

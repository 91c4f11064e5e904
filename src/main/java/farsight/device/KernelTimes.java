package farsight.device;

import farsight.config.DeviceConfig;
import java.time.Duration;

/**
 * The times that the kernel is given.
 *
 * <p>Requests that were under way on a connection that is lost are sent again when the kernel looks after them, not
 * before. With one connection it can look often, since it then only looks whether the connection is another one. With
 * several it takes a request that is late for a sign that its connection is dead, so that it must not look too soon.
 *
 * @param timeout seconds of NBD_ATTR_TIMEOUT; 0 for none
 * @param lookMillis how often the kernel looks after a request when there is no timeout
 * @param deadTimeout seconds of NBD_ATTR_DEAD_CONN_TIMEOUT
 */
record KernelTimes(long timeout, long lookMillis, long deadTimeout) {
    private static final long LOOK_MILLIS = 3_000;
    private static final long LATE_SECONDS = 10;

    /** Ten years, which the kernel can count in its ticks. */
    private static final long FOR_EVER = 10L * 365 * 24 * 3600;

    static KernelTimes of(DeviceConfig config, int connections) {
        long chosen = seconds(config.timeout());
        long timeout = chosen > 0 || connections == 1 ? chosen : LATE_SECONDS;
        long dead = seconds(config.deadTimeout());
        return new KernelTimes(timeout, LOOK_MILLIS, dead == 0 ? FOR_EVER : dead);
    }

    private static long seconds(Duration time) {
        return Math.ceilDiv(time.toMillis(), 1000L);
    }

    /** The timeout while a socket is offered, which needs one. */
    long offering() {
        return timeout == 0 ? Math.ceilDiv(lookMillis, 1000L) : timeout;
    }
}

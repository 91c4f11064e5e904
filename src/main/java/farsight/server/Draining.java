package farsight.server;

import farsight.buffer.Buffer;
import farsight.loop.Channel;
import farsight.loop.Timer;
import java.time.Duration;

/**
 * The end of a connection that the server ends: the client gets the last replies for certain, as closing a TCP socket
 * with received bytes that nobody read would take back what was sent. What it still sends is thrown away until it has
 * seen the end and closes, or takes too long. Loop thread only.
 */
final class Draining implements Phase {
    private static final Duration LIMIT = Duration.ofSeconds(3);

    private final Connection connection;
    private final Timer timer;

    Draining(Connection connection, Channel channel, ServerLoop loop) {
        this.connection = connection;
        timer = loop.loop().after(LIMIT, connection::disconnect);
        channel.finish();
        channel.resume();
    }

    @Override
    public void received(Buffer buffer, int from, int length) {}

    @Override
    public void filled(boolean more) {
        throw new AssertionError("nothing is diverted any more");
    }

    @Override
    public void sent() {}

    @Override
    public void turnOver() {}

    @Override
    public void stop() {
        connection.quiet();
    }

    @Override
    public void closed() {
        timer.cancel();
        connection.gone();
    }
}

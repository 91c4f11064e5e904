package farsight.server;

import farsight.buffer.Buffer;
import farsight.loop.Channel;
import farsight.protocol.ReplyStyle;
import java.time.Duration;

/**
 * The transmission phase of a connection (proto.md, "Transmission"). Requests come from the {@link RequestDispatcher}, go
 * through {@link DeviceIo} and leave by the {@link ReplySender}. All complete requests of a receive are started before
 * anything is answered; all finished ones leave together at the end of the turn. Called by the connection. Loop thread
 * only.
 */
final class Transmission implements Phase {
    /** How long storage that is lost may take to answer the requests that it still has. */
    private static final Duration LAST_ANSWERS = Duration.ofSeconds(5);

    /** How long clients may still ask, and be told that the server is stopping, before they are disconnected. */
    private static final Duration FAREWELL = Duration.ofMillis(200);

    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Export export;
    private final ReplyStyle style;
    private final DeviceIo io;
    private final InFlight inFlight;
    private final RequestDispatcher requests;
    private final ReplySender replies;
    private boolean toldQuiet;
    private boolean isStorageLost;

    /** @param rate null for as much as there is */
    Transmission(Connection connection, Channel channel, ServerLoop loop, Export export, Terms terms, Rate rate) {
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.export = export;
        style = terms.style();
        Outbox outbox = new Outbox(channel, loop.loop().pool());
        io = new DeviceIo(connection, channel, loop, export, style, outbox);
        inFlight = new InFlight(connection, channel, loop, rate, io);
        requests = new RequestDispatcher(connection, channel, loop, export, terms, inFlight, io, outbox);
        replies = new ReplySender(connection, channel, loop, export, style, outbox, inFlight, io, requests);
    }

    @Override
    public void received(Buffer buffer, int from, int length) {
        requests.received(buffer, from, length);
        export.device().submitted();
        channel.touch();
    }

    @Override
    public void filled(boolean more) {
        requests.filled(more);
        export.device().submitted();
        channel.touch();
    }

    @Override
    public void sent() {
        replies.sent();
        channel.touch();
    }

    @Override
    public void turnOver() {
        do {
            replies.send();
            if (io.isClosed()) {
                return;
            }
            replies.proceed();
            requests.proceed();
            export.device().submitted();
        } while (!channel.sending() && replies.isReady());
        if (connection.stopping()) {
            quietIfIdle();
        }
        if (requests.isDisconnecting() && inFlight.isEmpty() && !channel.sending()) {
            if (requests.isAbandoned()) {
                connection.disconnect();
            } else {
                close();
                connection.drain();
            }
        }
    }

    /** When the client last did something; now when it waits for others than itself. */
    long heardOf() {
        if (io.isBusy() || inFlight.overRate() || io.waitsForPool()) {
            return loop.loop().now();
        }
        return requests.receivedAt() - replies.sentAt() > 0 ? requests.receivedAt() : replies.sentAt();
    }

    /** What was started is finished; whatever comes after it is refused, or left unread. */
    @Override
    public void stop() {
        channel.touch();
    }

    private void quietIfIdle() {
        if (toldQuiet || !inFlight.isEmpty() || channel.sending()) {
            return;
        }
        toldQuiet = true;
        if (style.chunked()) {
            loop.loop().after(FAREWELL, connection::quiet);
        } else {
            connection.quiet();
        }
    }

    /**
     * The storage serves nothing any more. What it still answers is passed on, but it is not waited for long: librbd, for
     * one, forgets requests that waited for the image's lock when the cluster blocklisted it.
     */
    void storageLost() {
        if (isStorageLost) {
            return;
        }
        isStorageLost = true;
        if (!io.isClosed()) {
            connection.protocolError("uses an export whose storage is lost to this server");
            requests.disconnect();
        }
        loop.loop().after(LAST_ANSWERS, () -> {
            if (io.isBusy()) {
                connection.protocolError("waits for requests that its lost storage does not answer");
                connection.abandon();
            } else if (!io.isClosed()) {
                connection.disconnect(); // it does not take its last answers
            }
        });
    }

    /** The stop is complete: the client gets its last answers for certain, and then the end. */
    void finish() {
        requests.disconnect();
    }

    @Override
    public void closed() {
        close();
        io.goneIfIdle();
    }

    private void close() {
        io.close();
        replies.close();
        requests.close();
    }
}

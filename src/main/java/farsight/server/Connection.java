package farsight.server;

import farsight.buffer.Buffer;
import farsight.buffer.Pool;
import farsight.config.ClientIdentity;
import farsight.config.Limits;
import farsight.loop.Channel;
import farsight.loop.ChannelHandler;
import farsight.loop.Timer;
import farsight.protocol.Nbd;
import farsight.sys.ErrnoException;
import farsight.sys.SocketAddress;
import farsight.sys.Sockets;
import farsight.tls.TlsChannel;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Set;

/** One client: its socket, the phase it is in, and the export it uses. Owned by one loop. */
final class Connection implements ChannelHandler {
    private static final Logger LOG = System.getLogger(Connection.class.getName());

    private final Server server;

    /** The one that it is on; changes once at most, when its handshake is over. */
    private volatile ServerLoop loop;

    private final SocketAddress peer;

    /** Those that were in force when it came. */
    private final Limits limits;

    private final Security security;

    private final long started;
    private Channel channel;

    /** The same as the channel, once the client has turned to TLS; else null. */
    private TlsChannel tls;

    /** Found out when it is first asked for; anew once there is TLS. */
    private ClientIdentity identity;

    private Phase phase;
    private Export export;

    /** Where it counts, and as a client of what; null when it does not, and before it has settled. */
    private ServerLoop counts;

    private Export settled;
    private ConnectionEvent event;

    /** From the end of the handshake on; null before. */
    private volatile Usage usage;

    private Timer idle;
    private boolean stopping;
    private boolean closed;
    private boolean gone;

    /** Whether it was to be disconnected while it was on no loop. */
    private boolean unwanted;

    Connection(Server server, ServerLoop loop, SocketAddress peer) {
        this.server = server;
        this.loop = loop;
        this.peer = peer;
        limits = server.limits();
        security = server.security();
        started = loop.loop().now();
    }

    /** Takes over an accepted socket and greets. Loop thread. */
    void start(int fd) {
        if (openOn(loop, fd)) {
            Handshake handshake = new Handshake(this, channel, loop, server.exports());
            phase = handshake;
            handshake.start();
        }
    }

    private boolean openOn(ServerLoop here, int fd) {
        try {
            if (!unwanted) {
                channel = here.loop().open(fd, tls == null ? this : tls);
                if (tls != null) {
                    tls.reopened(here.loop(), channel);
                    channel = tls;
                }
                counts = here;
                counts.came();
                return true;
            }
        } catch (IllegalStateException e) {
            LOG.log(Level.WARNING, "{0}: cannot be served: {1}", peer, e.getMessage());
        }
        Sockets.close(fd);
        closed = true;
        gone();
        return false;
    }

    /** No longer on the loop that it is on. */
    private void leave() {
        if (counts != null) {
            counts.left(settled);
            counts = null;
        }
    }

    /** The one that it is on, or on its way to. Any thread. */
    ServerLoop loop() {
        return loop;
    }

    Limits limits() {
        return limits;
    }

    /** What the client did with its export; null as long as it has none. Any thread. */
    Usage usage() {
        return usage;
    }

    /** Whether a client may turn to TLS. */
    boolean offersTls() {
        return security.isOn();
    }

    /** Whether it has to, before anything else. */
    boolean requiresTls() {
        return security.isRequired() && tls == null;
    }

    /** Who the client is. */
    ClientIdentity identity() {
        if (identity == null) {
            identity = identify();
        }
        return identity;
    }

    private ClientIdentity identify() {
        X509Certificate certificate = tls == null ? null : tls.peerCertificate();
        if (peer instanceof SocketAddress.Tcp tcp) {
            return new ClientIdentity(tcp.address(), ClientIdentity.NOBODY, Set.of(), certificate);
        }
        try {
            return new ClientIdentity(
                    null, Sockets.peer(channel.fd()).user(), Sockets.peerGroups(channel.fd()), certificate);
        } catch (ErrnoException e) {
            LOG.log(Level.WARNING, "{0}: it cannot be told whose this is: {1}", peer, e.getMessage());
            return new ClientIdentity(null, ClientIdentity.NOBODY, Set.of(), certificate);
        }
    }

    boolean isSecure() {
        return tls != null;
    }

    /** The client was told to begin with TLS. All that it has sent or settled before is gone; a new handshake begins. */
    void startTls(boolean noZeroes) {
        try {
            tls = new TlsChannel(loop.loop(), channel, security.tls().engine(), this, this::protocolError);
        } catch (ErrnoException e) {
            LOG.log(Level.WARNING, "{0}: cannot be served: {1}", peer, e.getMessage());
            phase = new Draining(this, channel, loop);
            disconnect();
            return;
        }
        channel = tls;
        identity = null;
        phase = new Handshake(this, channel, loop, server.exports(), noZeroes);
    }

    /**
     * The handshake is over.
     *
     * @param rest where bytes that were received beyond it lie; may be null when there are none
     */
    void transmit(Export chosen, Terms terms, Buffer rest, int length) {
        export = chosen;
        server.settled(this);
        String who = identity().known();
        LOG.log(
                Level.INFO,
                "{0}: opened export ''{1}'' ({2} bytes){3}",
                peer,
                chosen.name(),
                chosen.size(),
                who.isEmpty() ? "" : " for " + who);
        usage = new Usage(chosen, isSecure(), System.nanoTime());
        event = new ConnectionEvent(peer.toString(), chosen.name(), isSecure());
        ServerLoop place = server.placeOf(chosen, loop);
        if (place == loop) {
            begin(terms, rest, length);
        } else {
            move(new Move(this, terms, place), rest, length);
        }
    }

    private void move(Move move, Buffer rest, int length) {
        if (length > 0) {
            move.received(rest, 0, length);
        }
        phase = move;
        channel.detach();
    }

    private void begin(Terms terms, Buffer rest, int length) {
        settled = export;
        counts.settled(export);
        Transmission transmission = new Transmission(
                this, channel, loop, export, terms, server.exports().rate(export));
        phase = transmission;
        if (peer instanceof SocketAddress.Tcp tcp && !tcp.address().isLoopbackAddress()) {
            channel.allowInPlace();
        }
        if (!limits.idleTimeout().isZero()) {
            watchIdle(transmission, limits.idleTimeout().toNanos());
        }
        if (length > 0) {
            transmission.received(rest, 0, length);
        }
        if (export.device().lost()) {
            lost(export); // so early that nobody could be told yet
        }
    }

    /** Looks after a time whether the client is still there, and then again when it could have been silent too long. */
    private void watchIdle(Transmission transmission, long nanos) {
        idle = loop.loop().after(Duration.ofNanos(nanos), () -> {
            long limit = limits.idleTimeout().toNanos();
            long silent = loop.loop().now() - transmission.heardOf();
            if (silent < limit) {
                watchIdle(transmission, limit - silent);
            } else {
                LOG.log(
                        Level.INFO,
                        "{0}: was idle for {1} s (idle_timeout)",
                        peer,
                        limits.idleTimeout().toSeconds());
                disconnect();
            }
        });
    }

    @Override
    public void detached() {
        Move move = (Move) phase;
        ServerLoop before = loop;
        int fd = channel.fd();
        channel = null;
        leave();
        before.loads(-1);
        loop = move.target();
        // Not at once: TLS, which goes along, is still at work in the calls that led here.
        before.loop().execute(() -> loop.loop().execute(() -> arrive(fd, move)));
    }

    /** On the loop that it moves to, with what was received on the other one. */
    private void arrive(int fd, Move move) {
        Pool pool = loop.loop().pool();
        Buffer carried = move.length() == 0 ? null : pool.take(move.length());
        if (carried == null && move.length() > 0 && !unwanted) {
            pool.onRelease(() -> arrive(fd, move));
        } else if (openOn(loop, fd)) {
            if (carried != null) {
                move.unload(carried);
            }
            begin(move.terms(), carried, move.length());
        }
        if (carried != null) {
            carried.release();
        }
    }

    // ---- what phases report --------------------------------------------------------------------------------------

    /** The client broke the rules and is about to lose its connection. */
    void protocolError(String what) {
        server.complaints().say(peer, what + "; disconnected");
    }

    void requestRefused(IoRequest request, int error) {
        if (LOG.isLoggable(Level.DEBUG)) {
            LOG.log(
                    Level.DEBUG,
                    "{0}: refused {1} at {2} of {3} bytes: {4}",
                    peer,
                    Nbd.commandName(request.type),
                    Long.toUnsignedString(request.start),
                    request.wanted,
                    Nbd.errorName(error));
        }
    }

    /** Ends the connection so that all that was sent arrives. The phase has let go of everything; it is over. */
    void drain() {
        if (!closed) {
            phase = new Draining(this, channel, loop);
        }
    }

    /** Closes the socket; the rest happens as if the client had done so. */
    void disconnect() {
        if (!closed) {
            channel.close();
            closed(0);
        }
    }

    /** Tells the client's phase that the server is stopping. From another thread. */
    void stop() {
        onLoop(() -> {
            stopping = true;
            if (phase == null) {
                quiet();
            } else if (!closed) {
                phase.stop();
            }
        });
    }

    /** Whether nothing new is to be begun. */
    boolean stopping() {
        return stopping;
    }

    /** The server is stopping, and need not wait for this client any more. */
    void quiet() {
        server.quiet(this);
    }

    /** Ends the connection after a stop. From another thread. */
    void finish() {
        onLoop(() -> {
            if (!closed && phase instanceof Transmission transmission) {
                transmission.finish();
            }
        });
    }

    /** The storage of an export serves nothing any more. From any thread. */
    void lost(Export which) {
        onLoop(() -> {
            if (!gone && export == which && phase instanceof Transmission transmission) {
                transmission.storageLost();
            }
        });
    }

    /**
     * Ends the connection although a device has requests of it, and will have for ever: nobody waits for it any more, but
     * what the requests use stays theirs.
     */
    void abandon() {
        disconnect();
        if (!gone) {
            server.abandoned(this);
        }
    }

    SocketAddress peer() {
        return peer;
    }

    /** Others need its place, if it is still in its handshake. From another thread. */
    void giveWay() {
        onLoop(() -> {
            if (!closed && phase instanceof Handshake) {
                protocolError("had to give way to others before it had finished its handshake");
                disconnect();
            } else {
                server.stays(this);
            }
        });
    }

    /** Like {@link #disconnect}, from another thread. */
    void disconnectFromOutside() {
        onLoop(() -> {
            if (channel != null) {
                disconnect();
            } else {
                unwanted = true;
            }
        });
    }

    private void onLoop(Runnable task) {
        ServerLoop at = loop;
        at.loop().execute(() -> {
            if (at != loop) {
                onLoop(task); // it moved meanwhile
            } else {
                task.run();
            }
        });
    }

    /** Nothing of this connection is left in any device: the last thing that a phase says. */
    void gone() {
        if (gone) {
            return;
        }
        gone = true;
        leave();
        if (export != null) {
            long seconds = (loop.loop().now() - started) / 1_000_000_000;
            LOG.log(
                    Level.INFO,
                    "{0}: closed export ''{1}'' after {2} s: {3} requests, {4} errors, {5} bytes read, {6} written",
                    peer,
                    export.name(),
                    seconds,
                    usage.requests(),
                    usage.errors(),
                    usage.read(),
                    usage.written());
            event.commit();
            server.exports().release(export);
        }
        server.gone(this);
    }

    @Override
    public String toString() {
        return peer.toString();
    }

    // ---- ChannelHandler ------------------------------------------------------------------------------------------

    @Override
    public void received(Buffer buffer, int from, int length) {
        phase.received(buffer, from, length);
    }

    @Override
    public void filled(boolean more) {
        phase.filled(more);
    }

    @Override
    public void sent() {
        phase.sent();
    }

    @Override
    public void turnOver() {
        phase.turnOver();
    }

    @Override
    public void closed(int errno) {
        if (closed) {
            return;
        }
        closed = true;
        if (idle != null) {
            idle.cancel();
        }
        if (errno != 0) {
            LOG.log(Level.DEBUG, "{0}: {1}", peer, ErrnoException.describe(errno));
        }
        phase.closed();
    }
}

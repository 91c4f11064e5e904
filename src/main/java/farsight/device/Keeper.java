package farsight.device;

import farsight.client.ClientHandshake;
import farsight.client.DescriptorSocket;
import farsight.client.NbdException;
import farsight.client.Negotiated;
import farsight.config.ClientConfig;
import farsight.config.Sizes;
import farsight.sys.CallState;
import farsight.sys.DeadLinks;
import farsight.sys.EventFd;
import farsight.sys.NbdNetlink;
import farsight.sys.Poll;
import farsight.sys.Sockets;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Looks after a device that the kernel serves: notices dead connections, makes new ones and hands them to the kernel,
 * and follows the export when it grows. A thread of its own.
 *
 * <p>The end of a connection shows on our descriptor of its socket. Of connections that another process made before this
 * one took the device over there are no descriptors: the kernel tells when one is lost, and takes a socket that is
 * offered in its place, or does not when all of them live.
 */
final class Keeper {
    private static final Logger LOG = Logger.getLogger("farsight.device");

    private static final Duration CONNECT_LIMIT = Duration.ofSeconds(5);
    private static final int MOST_CONNECTIONS = 256;

    /** How often connections that nothing is known of are tried when the size is not asked for. */
    private static final long PROBE_MILLIS = 30_000;

    private final DeviceFile file;
    private final int index;
    private final String identifier;
    private final ClientConfig config;
    private final KernelTimes times;
    private final NbdNetlink netlink;
    private final DeadLinks dead;
    private final EventFd wake;
    private final List<Link> own = new ArrayList<>();
    private final int total;
    private final Backoff backoff = new Backoff();
    private final CompletableFuture<Void> ended = new CompletableFuture<>();
    private final Thread thread;

    private Expected expected;
    private DeviceState state;

    /** Connections that live as far as is known, but are not {@link #own}. */
    private int foreign;

    private final boolean adopted;
    private long nextAttempt;
    private long nextPoll;
    private long lostAt;
    private long deadSince;
    private String lastComplaint = "";
    private boolean pollFailed;
    private volatile boolean stopping;

    /** What the kernel still had when the thread ended. */
    private List<Line> last = List.of();

    private volatile int alive;

    /**
     * A connection of ours.
     *
     * @param size of the device as the server said when it was made; many servers hold a connection to that
     */
    private record Link(Line line, long size) {}

    /** @param lines that the kernel has, empty when the device is taken over */
    Keeper(
            DeviceFile file,
            int index,
            String identifier,
            ClientConfig config,
            NbdNetlink netlink,
            DeadLinks dead,
            List<Line> lines,
            int total,
            Expected expected,
            DeviceState state)
            throws IOException {
        this.file = file;
        this.index = index;
        this.identifier = identifier;
        this.config = config;
        this.times = KernelTimes.of(config.device(), total);
        this.netlink = netlink;
        this.dead = dead;
        this.wake = new EventFd();
        lines.forEach(line -> own.add(new Link(line, expected.size())));
        this.total = Math.min(total, MOST_CONNECTIONS);
        this.expected = expected;
        this.state = state;
        adopted = lines.isEmpty();
        alive = own.size();
        thread = Thread.ofPlatform().name(file.name()).daemon(true).unstarted(this::run);
    }

    void start() {
        long now = millis();
        nextPoll = now + pollMillis();
        nextAttempt = now;
        deadSince = now;
        thread.start();
    }

    /** Ends when the device is given up, or somebody else has detached it; never by itself otherwise. */
    CompletableFuture<Void> ended() {
        return ended;
    }

    /** Connections known to live. */
    int alive() {
        return alive;
    }

    /**
     * Ends the thread: afterwards the device gets no more connections. Called once.
     *
     * @param silently whether to cut the connections, so that the kernel does not wait for any of them
     */
    void stop(boolean silently) {
        synchronized (this) {
            stopping = true;
            if (silently) {
                own.forEach(link -> link.line().cut());
            }
        }
        wake.signal();
        try {
            if (thread.join(CONNECT_LIMIT)) {
                wake.close();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits until servers have got what the kernel told them at the end; after {@link #stop} and the device's end. */
    synchronized void awaitGoodbyes() {
        try {
            for (Line line : last) {
                line.awaitGoodbye();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static long millis() {
        return System.nanoTime() / 1_000_000;
    }

    private long pollMillis() {
        long millis = config.device().resizePoll().toMillis();
        return millis == 0 ? PROBE_MILLIS : millis;
    }

    private int missing() {
        return total - own.size() - foreign;
    }

    // ---- the thread ----------------------------------------------------------------------------------------------

    private void run() {
        try (Poll poll = new Poll(MOST_CONNECTIONS + 2);
                CallState call = CallState.open()) {
            while (!stopping && !ended.isDone()) {
                turn(poll, call);
            }
        } catch (IOException | RuntimeException e) {
            ended.completeExceptionally(e);
        } finally {
            synchronized (this) {
                own.forEach(link -> link.line().close());
                last = own.stream().map(Link::line).toList();
                own.clear();
            }
            dead.close();
            netlink.close();
        }
    }

    private void turn(Poll poll, CallState call) throws IOException {
        poll.clear();
        int woken = poll.readable(wake.fd());
        int told = poll.readable(dead.fd());
        int first = told + 1;
        own.forEach(link -> poll.ended(link.line().fd()));
        poll.await(Math.clamp(deadline() - millis(), 0, Integer.MAX_VALUE));
        if (poll.ready(woken)) {
            wake.drain(call);
        }
        int lost = dropEnded(poll, first);
        int reported = poll.ready(told) ? dead.drain(index) : 0;
        if (reported != 0 && foreign > 0) {
            lost += foreign;
            foreign = 0; // any of them: those that live will refuse to be replaced
        }
        if (lost > 0) {
            lost(lost);
        }
        if (stopping || ended.isDone()) {
            return;
        }
        if (missing() > 0 && millis() >= nextAttempt) {
            attempt();
        } else if (missing() == 0 && millis() >= nextPoll) {
            poll();
        }
        giveUpWhenItIsTime();
    }

    /** The time of the next thing to do. */
    private long deadline() {
        return missing() > 0 ? nextAttempt : nextPoll;
    }

    private int dropEnded(Poll poll, int first) {
        int lost = 0;
        int place = first;
        synchronized (this) {
            for (Iterator<Link> links = own.iterator(); links.hasNext(); place++) {
                Link link = links.next();
                if (poll.ready(place)) {
                    links.remove();
                    link.line().close();
                    lost++;
                }
            }
        }
        return lost;
    }

    private void lost(int lost) {
        if (stopping || detachedByOthers()) {
            return;
        }
        long now = millis();
        if (missing() == lost) {
            lostAt = now;
            backoff.reset();
            nextAttempt = now;
        }
        if (own.isEmpty() && foreign == 0) {
            deadSince = now;
        }
        publish(state.reconnects());
        if (!adopted || own.size() > 0) {
            LOG.log(Level.INFO, "{0}: {1} of {2} connections to {3} lost; reconnecting", new Object[] {
                file.path(), missing(), total, config.server()
            });
        }
    }

    private boolean detachedByOthers() {
        if (file.owner().isPresent()) {
            return false;
        }
        ended.completeExceptionally(new IOException(file.path() + ": was detached by somebody else"));
        return true;
    }

    // ---- reconnecting --------------------------------------------------------------------------------------------

    private void attempt() {
        List<Line> opened = new ArrayList<>(1);
        boolean taken = false;
        try {
            Negotiated now = Links.open(config.server(), CONNECT_LIMIT, opened);
            Line line = opened.getFirst();
            refuseAnother(now, line.peer());
            taken = offer(new Link(line, wholeBlocks(now)));
            if (taken) {
                took(now);
            } else {
                refused();
            }
        } catch (IOException e) {
            // A server that is gone says nothing of the device, which may have been detached meanwhile.
            if (!detachedByOthers()) {
                complain(e.getMessage());
                nextAttempt = millis() + backoff.next();
            }
        } finally {
            if (!taken) {
                opened.forEach(Line::close);
            }
        }
    }

    private void refuseAnother(Negotiated now, String peer) throws NbdException {
        String problem = expected.problem(now).orElse(null);
        if (problem != null) {
            throw new NbdException(
                    peer + ": " + problem + "; " + file.path() + " stays as it was and waits for its export");
        }
    }

    private long wholeBlocks(Negotiated now) {
        return Links.wholeBlocks(now.size(), expected.blockSize());
    }

    private synchronized boolean offer(Link link) throws IOException {
        if (stopping) {
            return false;
        }
        int socket = link.line().fd();
        boolean taken = netlink.offer(index, identifier, socket, times.offering());
        if (taken) {
            own.add(link);
        }
        if (times.timeout() == 0) {
            netlink.timeouts(index, identifier, 0, times.deadTimeout());
            file.lookAfter(times.lookMillis());
            if (taken) {
                Sockets.noSendTimeout(socket);
            }
        }
        return taken;
    }

    private void took(Negotiated now) throws IOException {
        backoff.reset();
        nextAttempt = millis();
        lastComplaint = "";
        publish(state.reconnects() + 1);
        if (missing() == 0) {
            follow(wholeBlocks(now));
            connected();
        }
    }

    /** All connections of the kernel live. When one of ours has just ended, it does not know yet. */
    private void refused() {
        if (adopted) {
            foreign = total - own.size();
            backoff.reset();
            connected();
        } else {
            nextAttempt = millis() + backoff.next();
        }
    }

    private void connected() {
        nextPoll = millis() + pollMillis();
        publish(state.reconnects());
        if (lostAt != 0) {
            LOG.log(Level.INFO, "{0}: reconnected to {1} after {2} ms", new Object[] {
                file.path(), config.server(), Long.toString(millis() - lostAt)
            });
            lostAt = 0;
        }
    }

    /** The same line once, however often it is tried. */
    private void complain(String message) {
        if (!message.equals(lastComplaint)) {
            lastComplaint = message;
            LOG.log(Level.WARNING, "{0}: cannot reconnect: {1}", new Object[] {file.path(), message});
        }
    }

    private void giveUpWhenItIsTime() {
        Duration limit = config.device().reconnect();
        if (own.isEmpty() && foreign == 0 && !limit.isZero() && millis() - deadSince > limit.toMillis()) {
            ended.completeExceptionally(new IOException(file.path() + ": no connection to " + config.server() + " for "
                    + Sizes.formatTime(limit) + "; the device is given up"
                    + (lastComplaint.isEmpty() ? "" : " (" + lastComplaint + ")")));
        }
    }

    // ---- the export's size ---------------------------------------------------------------------------------------

    private void poll() {
        nextPoll = millis() + pollMillis();
        if (foreign > 0) {
            foreign = 0;
            nextAttempt = millis();
            return; // which asks for the size as well
        }
        if (config.device().resizePoll().isZero()) {
            return;
        }
        try (DescriptorSocket socket = DescriptorSocket.connect(config.server(), CONNECT_LIMIT)) {
            Negotiated now = ClientHandshake.inform(socket, config.server().export());
            refuseAnother(now, socket.peer());
            follow(wholeBlocks(now));
            pollFailed = false;
        } catch (IOException e) {
            if (!pollFailed) {
                LOG.log(Level.WARNING, "{0}: {1}", new Object[] {file.path(), e.getMessage()});
            }
            pollFailed = true;
        }
    }

    /** Makes the device larger, once all connections were made by a server that knows of it. */
    private void follow(long bytes) throws IOException {
        if (bytes <= expected.size()) {
            return;
        }
        if (foreign > 0) {
            throw new NbdException(
                    "the export has grown to " + Sizes.format(bytes) + ", which connections of an earlier"
                            + " client do not know; detach and attach the device to follow");
        }
        synchronized (this) {
            List<Link> before = own.stream().filter(link -> link.size() < bytes).toList();
            before.forEach(link -> link.line().cut());
            if (stopping || !before.isEmpty()) {
                return; // until they are replaced
            }
            netlink.resize(index, identifier, bytes);
        }
        LOG.log(Level.INFO, "{0}: grown from {1} to {2}", new Object[] {
            file.path(), Sizes.format(expected.size()), Sizes.format(bytes)
        });
        expected = expected.withSize(bytes);
        publish(state.reconnects());
    }

    private void publish(long reconnects) {
        alive = own.size() + foreign;
        state = state.with(expected.size(), alive, reconnects);
        try {
            RunDirectory.SYSTEM.store(state);
        } catch (IOException e) {
            LOG.log(Level.WARNING, "cannot write the state of {0}: {1}", new Object[] {file.path(), e.getMessage()});
        }
    }
}

package farsight.server;

import farsight.backend.BackendProvider;
import farsight.config.Limits;
import farsight.config.ListenAddress;
import farsight.config.NbdUri;
import farsight.config.ServerConfig;
import farsight.config.TlsConfig;
import farsight.loop.Counters;
import farsight.loop.IoLoop;
import farsight.sys.ErrnoException;
import farsight.sys.SocketAddress;
import farsight.sys.Sockets;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The server of this program's commands; {@link NbdServer} is the one for other programs. It listens, accepts, and spreads connections over its loops. Starting it either succeeds as a whole or
 * leaves nothing behind. Methods may be called from any thread but a loop's.
 */
@SuppressWarnings("exports") // public for the commands, which are in this module
public final class Server implements AutoCloseable {
    private static final Logger LOG = System.getLogger(Server.class.getName());

    /** Of the time for a stop, what is kept for flushing and closing when clients use up theirs. */
    private static final Duration MOST_RESERVE = Duration.ofSeconds(2);

    /** How long clients may take to close, once they have got all their answers. */
    private static final Duration FAREWELL = Duration.ofMillis(300);

    /** What is left for connections to come to their end, however late it is. */
    private static final Duration LEAST_END = Duration.ofMillis(500);

    private final long began = System.nanoTime();
    private volatile Limits limits;
    private final List<ServerLoop> loops = new ArrayList<>();
    private final List<IoLoop> ioLoops = new ArrayList<>();
    private final List<Listener> listeners = new ArrayList<>();
    private final List<Path> socketFiles = new ArrayList<>();
    private final Set<Connection> connections = new HashSet<>();

    /** Whether some device keeps what requests use, so that it cannot be freed. */
    private volatile boolean abandoned;

    /** Under the lock of {@link #connections}. */
    private final Admission admission = new Admission();

    private final Complaints complaints = new Complaints(LOG);

    /** When stopping: the connections with something in flight. Under the lock of {@link #connections}, too. */
    private final Set<Connection> busy = new HashSet<>();

    private final AtomicInteger accepted = new AtomicInteger();
    private final AtomicInteger homes = new AtomicInteger();
    private final Object reloading = new Object();
    private final CountDownLatch stopped = new CountDownLatch(1);
    private Exports exports;
    private volatile Security security = Security.OFF;
    private CertificateWatch certificates;
    private Monitor monitor;
    private boolean closing;

    private Server(Limits limits) {
        this.limits = limits;
    }

    /**
     * Starts a server.
     *
     * @param providers the kinds of storage that the configuration was read with
     * @throws IOException one line for people: an address that cannot be had, a backend that cannot be right
     */
    public static Server start(ServerConfig config, Map<String, BackendProvider> providers) throws IOException {
        return start(config, providers, List.of());
    }

    /**
     * Starts a server on sockets that somebody else has made, in place of the configured addresses if there are any.
     *
     * @param sockets descriptors, which belong to the server from now on: sockets that listen, or connections. When all
     *     are connections, the server stops with the last of them.
     */
    public static Server start(ServerConfig config, Map<String, BackendProvider> providers, List<Integer> sockets)
            throws IOException {
        Server server = new Server(config.limits());
        try {
            server.open(config, providers, sockets);
        } catch (IOException | RuntimeException e) {
            server.close();
            throw e;
        }
        return server;
    }

    private void open(ServerConfig config, Map<String, BackendProvider> providers, List<Integer> sockets)
            throws IOException {
        security = Security.of(config.tls());
        exports = new Exports(Catalog.of(config, providers, null), loops, this::nextHome, this::lost);
        int asked = config.loops().count();
        int count = asked > 0 ? asked : Runtime.getRuntime().availableProcessors();
        LoopChoice choice = new LoopChoice(config.loops(), limits.poolBytes() / count);
        for (int i = 0; i < count; i++) {
            IoLoop loop = choice.open("loop-" + i);
            ioLoops.add(loop);
            loops.add(new ServerLoop(loop));
        }
        if (sockets.isEmpty()) {
            for (ListenAddress address : config.listen()) {
                for (SocketAddress resolved : resolve(address)) {
                    listen(resolved);
                }
            }
        } else {
            takeOver(sockets);
        }
        if (config.metrics().isPresent()) {
            monitor = new Monitor(config.metrics().get(), new Figures(this));
        }
        watchCertificates();
        if (!listeners.isEmpty()) {
            ioLoops.getFirst().execute(loops.getFirst()::reserve);
        }
        for (Listener listener : listeners) {
            ioLoops.getFirst().execute(listener::start);
        }
    }

    private void takeOver(List<Integer> sockets) throws IOException {
        List<Integer> connected = new ArrayList<>();
        for (int fd : sockets) {
            try {
                if (Sockets.listens(fd)) {
                    listeners.add(new Listener(this, ioLoops.getFirst(), fd));
                } else {
                    connected.add(fd);
                }
            } catch (ErrnoException e) {
                throw new IOException(
                        "descriptor " + fd + " cannot be served: " + e.getMessage()
                                + "; it must be a stream socket, listening or connected",
                        e);
            }
        }
        // Only now: if this is the last socket's connection, its end is the server's.
        for (int fd : connected) {
            try {
                Sockets.nonBlocking(fd, true);
                SocketAddress peer = Sockets.remote(fd);
                if (peer instanceof SocketAddress.Tcp) {
                    Sockets.noDelay(fd);
                }
                accepted(fd, peer);
            } catch (ErrnoException e) {
                throw new IOException("descriptor " + fd + " is no connection: " + e.getMessage(), e);
            }
        }
    }

    private ServerLoop nextHome() {
        for (int i = 1; i < loops.size(); i++) {
            ServerLoop next = loops.get(Math.floorMod(homes.getAndIncrement(), loops.size()));
            if (!next.loop().waits()) {
                return next;
            }
        }
        return loops.get(Math.floorMod(homes.getAndIncrement(), loops.size()));
    }

    /** The loop for a new client: the one with the fewest, and the one that accepts only if others have more. */
    private ServerLoop leastLoaded() {
        ServerLoop best = loops.getFirst();
        boolean bestWaits = best.loop().waits();
        for (ServerLoop loop : loops.subList(1, loops.size())) {
            boolean waits = loop.loop().waits();
            if (waits == bestWaits ? loop.load() <= best.load() : bestWaits) {
                best = loop;
                bestWaits = waits;
            }
        }
        return best;
    }

    /**
     * The loop for a client that has finished its handshake on {@code here}, whose thread this is: the home of its
     * export. Of others, those move that had to come to the loop that accepts, if another loop has nobody any more. All
     * new clients are given their loops by that same thread, so that no two get one for its being empty.
     */
    ServerLoop placeOf(Export export, ServerLoop here) {
        if (export.home() != null) {
            return export.home();
        }
        if (!listeners.isEmpty() && here == loops.getFirst()) {
            for (ServerLoop loop : loops.subList(1, loops.size())) {
                if (loop.load() == 0 && !loop.loop().waits()) {
                    return loop;
                }
            }
        }
        return here;
    }

    private static List<SocketAddress> resolve(ListenAddress address) throws IOException {
        return switch (address) {
            case ListenAddress.Unix(String path) -> List.of(new SocketAddress.Unix(path));
            case ListenAddress.Tcp(String host, int port) -> {
                List<SocketAddress> all = new ArrayList<>();
                for (InetAddress ip : addresses(host)) {
                    all.add(new SocketAddress.Tcp(ip, port));
                }
                yield all;
            }
        };
    }

    private static List<InetAddress> addresses(String host) throws IOException {
        if (host.equalsIgnoreCase("localhost")) {
            // The loopback addresses (RFC 6761), both of them wherever IPv6 is on, whatever /etc/hosts makes of the
            // name.
            InetAddress v6 = InetAddress.ofLiteral("::1");
            InetAddress v4 = InetAddress.ofLiteral("127.0.0.1");
            return NetworkInterface.getByInetAddress(v6) == null ? List.of(v4) : List.of(v4, v6);
        }
        try {
            return List.of(InetAddress.getAllByName(host));
        } catch (UnknownHostException e) {
            throw new IOException(
                    "cannot listen on '" + host + "': no such host is known; check the name, or write an address", e);
        }
    }

    private void listen(SocketAddress address) throws IOException {
        if (address instanceof SocketAddress.Unix(String path)) {
            removeStale(address, Path.of(path));
        }
        SocketAddress wanted = address;
        if (address instanceof SocketAddress.Tcp(InetAddress ip, int port) && port == 0 && !listeners.isEmpty()) {
            // All addresses of one host get the port that the first one was given.
            if (listeners.getLast().address() instanceof SocketAddress.Tcp last) {
                wanted = new SocketAddress.Tcp(ip, last.port());
            }
        }
        try {
            listeners.add(new Listener(this, ioLoops.getFirst(), wanted));
        } catch (ErrnoException e) {
            throw new IOException(e.getMessage() + "; " + remedy(e), e);
        }
        if (address instanceof SocketAddress.Unix(String path)) {
            socketFiles.add(Path.of(path));
        }
    }

    private static String remedy(ErrnoException e) {
        return switch (e.errno()) {
            case 98 -> "another process serves there already: stop it or choose another port or path";
            case 13 -> "choose a port from 1024 on or a directory that may be written, or run as root";
            case 99 -> "the address is not one of this machine's: see 'ip address'";
            case 2 -> "the directory does not exist: make it first";
            default -> "choose another address";
        };
    }

    /** A socket file that nobody listens on is what a killed server leaves behind. */
    private static void removeStale(SocketAddress address, Path path) throws IOException {
        if (!Files.exists(path)) {
            return;
        }
        try {
            Sockets.close(Sockets.connect(address, 1000));
        } catch (ErrnoException e) {
            if (e.errno() == Sockets.ECONNREFUSED) {
                Files.delete(path);
            }
        }
    }

    // ---- connections ---------------------------------------------------------------------------------------------

    /**
     * A listener has a new client. Its loop thread.
     *
     * @return whether there was room for it
     */
    boolean accepted(int fd, SocketAddress peer) {
        Connection connection;
        boolean full;
        ServerLoop loop = leastLoaded();
        accepted.incrementAndGet();
        synchronized (connections) {
            int open = connections.size() - admission.leaving();
            String why = admission.refusal(peer, limits, open);
            if (closing || why != null) {
                if (!closing) {
                    complaints.say(peer, "refused: " + why);
                }
                Sockets.close(fd);
                return false;
            }
            full = open >= limits.maxConnections();
            if (full) {
                admission.evict().giveWay();
            }
            connection = new Connection(this, loop, peer);
            connections.add(connection);
            loop.loads(1);
            admission.came(connection);
        }
        loop.loop().execute(() -> connection.start(fd));
        return !full;
    }

    void gone(Connection connection) {
        synchronized (connections) {
            if (connections.remove(connection)) {
                connection.loop().loads(-1);
                admission.gone(connection);
            }
            busy.remove(connection);
            connections.notifyAll();
            if (closing || !connections.isEmpty() || !listeners.isEmpty()) {
                return;
            }
        }
        // Nobody can come any more. Not on a loop, which this is.
        Thread.ofPlatform().name("stop").start(this::close);
    }

    /** The same of one that a device will keep requests of for ever. */
    void abandoned(Connection connection) {
        abandoned = true;
        gone(connection);
    }

    /** It has finished its handshake. */
    void settled(Connection connection) {
        synchronized (connections) {
            admission.settled(connection);
        }
    }

    /** It had finished its handshake when it was to give way to others. */
    void stays(Connection connection) {
        synchronized (connections) {
            admission.stays(connection);
        }
    }

    Complaints complaints() {
        return complaints;
    }

    /** A stop need not wait for this one any more. */
    void quiet(Connection connection) {
        synchronized (connections) {
            busy.remove(connection);
            connections.notifyAll();
        }
    }

    Limits limits() {
        return limits;
    }

    /** What connections to come get of TLS. */
    Security security() {
        return security;
    }

    Exports exports() {
        return exports;
    }

    // ---- for those who run it ------------------------------------------------------------------------------------

    /** Where it listens, with the ports that were chosen for it. */
    public List<NbdUri> uris() {
        List<NbdUri> uris = new ArrayList<>();
        for (Listener listener : listeners) {
            List<String> names = exports.listed();
            for (String name : names.isEmpty() ? List.of("") : names) {
                uris.add(uri(listener.address(), name));
            }
        }
        return uris;
    }

    private static NbdUri uri(SocketAddress address, String export) {
        return switch (address) {
            case SocketAddress.Tcp(InetAddress ip, int port) -> NbdUri.tcp(ip.getHostAddress(), port, export);
            case SocketAddress.Unix(String path) -> NbdUri.unix(path, export);
        };
    }

    /**
     * Takes another configuration for the connections to come: its exports, backends, limits and TLS, for which the files
     * of the certificates are read anew. Those that are connected keep what they have. Addresses, loops and the size of
     * the pool stay what they were.
     *
     * @throws IOException one line for people: a backend or a certificate that cannot be right. Nothing has changed then
     */
    public void reload(ServerConfig config) throws IOException {
        synchronized (reloading) {
            Security secure = Security.of(config.tls());
            Catalog before = exports.catalog();
            Catalog next = Catalog.of(config, before.providers(), before);
            exports.replace(next);
            limits = config.limits();
            security = secure;
            watchCertificates();
        }
    }

    private void watchCertificates() {
        if (security.isOn() && certificates == null) {
            certificates = new CertificateWatch(this);
        }
    }

    /** The files of the certificates are others: whether they could be read, for the connections to come. */
    boolean renewCertificates() {
        synchronized (reloading) {
            TlsConfig config = security.config();
            try {
                security = Security.of(config);
                LOG.log(Level.INFO, "the certificates in {0} were read anew", config.certificates());
                return true;
            } catch (IOException e) {
                LOG.log(Level.ERROR, "the certificates in use stay, the new ones cannot be used: {0}", e.getMessage());
                return false;
            }
        }
    }

    /** By {@link System#nanoTime}. */
    long began() {
        return began;
    }

    /** The clients that are connected now. */
    List<Connection> open() {
        synchronized (connections) {
            return List.copyOf(connections);
        }
    }

    /** The storage of an export serves nothing any more: its clients are told so. Any thread. */
    private void lost(Export export) {
        open().forEach(connection -> connection.lost(export));
    }

    /** How many clients are connected. */
    public int connections() {
        synchronized (connections) {
            return connections.size();
        }
    }

    /** Buffers of all loops that are in use now: 0 when nothing is going on but for one per loop to receive into. */
    int buffersInUse() {
        return ask(loop -> loop.loop().pool().inUse());
    }

    /** How many loops serve. */
    int loops() {
        return loops.size();
    }

    /** Requests of all loops that are not answered. */
    int requestsInUse() {
        return ask(ServerLoop::requestsInUse);
    }

    private int ask(java.util.function.ToIntFunction<ServerLoop> question) {
        int sum = 0;
        for (ServerLoop loop : loops) {
            CompletableFuture<Integer> answer = new CompletableFuture<>();
            loop.loop().execute(() -> answer.complete(question.applyAsInt(loop)));
            sum += answer.join();
        }
        return sum;
    }

    /** Whether all loops get to do what they are asked for, within a time. */
    public boolean isResponsive(Duration limit) {
        List<CompletableFuture<Void>> answers = new ArrayList<>();
        for (IoLoop loop : ioLoops) {
            CompletableFuture<Void> answer = new CompletableFuture<>();
            loop.execute(() -> answer.complete(null));
            answers.add(answer);
        }
        try {
            CompletableFuture.allOf(answers.toArray(CompletableFuture[]::new))
                    .get(limit.toMillis(), TimeUnit.MILLISECONDS);
            return true;
        } catch (TimeoutException | ExecutionException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** Where its figures are told over HTTP, if anywhere. */
    public Optional<InetSocketAddress> metrics() {
        return Optional.ofNullable(monitor).map(Monitor::address);
    }

    /** Clients that were accepted since the start. */
    int acceptedConnections() {
        return accepted.get();
    }

    boolean isClosing() {
        synchronized (connections) {
            return closing;
        }
    }

    List<Counters> counters() {
        return ioLoops.stream().map(IoLoop::counters).toList();
    }

    /** Waits until somebody has closed it. */
    public void awaitStop() throws InterruptedException {
        stopped.await();
    }

    /**
     * Stops: nothing new is begun, what is in flight is finished and answered, all exports are flushed, connections are
     * ended and devices closed. What cannot be done within {@link Limits#shutdownTimeout} is left undone, and said.
     */
    @Override
    public void close() {
        long now = System.nanoTime();
        long all = limits.shutdownTimeout().toNanos();
        List<Connection> open;
        synchronized (connections) {
            if (closing) {
                return;
            }
            closing = true;
            open = List.copyOf(connections);
            busy.addAll(open);
        }
        for (Listener listener : listeners) {
            onLoop(ioLoops.getFirst(), listener::close);
        }
        for (Path path : socketFiles) {
            path.toFile().delete();
        }
        if (monitor != null) {
            monitor.close();
        }
        synchronized (reloading) {
            if (certificates != null) {
                certificates.close();
            }
        }
        if (exports != null) {
            exports.stop();
            open.forEach(Connection::stop);
            if (!awaitEmpty(busy, now + all - Math.min(all / 4, MOST_RESERVE.toNanos()))) {
                LOG.log(Level.WARNING, "stopping although requests are unanswered: shutdown_timeout is over");
            }
            flush(now + all);
            open.forEach(Connection::finish);
            awaitEmpty(connections, Math.min(now + all, System.nanoTime() + FAREWELL.toNanos()));
        }
        open.forEach(Connection::disconnectFromOutside);
        if (awaitEmpty(connections, Math.max(now + all, System.nanoTime() + LEAST_END.toNanos()))) {
            if (exports != null) {
                exports.close();
            }
            if (!abandoned) {
                ioLoops.forEach(IoLoop::close);
            }
        } else {
            // A device still has requests: what they use cannot be freed. The process is about to end anyway.
            LOG.log(Level.WARNING, "storage does not answer; leaving it as it is");
        }
        stopped.countDown();
    }

    private void flush(long deadline) {
        for (Export export : exports.retained()) {
            if (export.device().lost()) {
                exports.release(export); // what it was told is at its storage, or lost already
                continue;
            }
            try {
                int errno = export.flush(ioLoops.getFirst())
                        .get(Math.max(1, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
                if (errno != 0) {
                    notFlushed(export, ErrnoException.describe(errno));
                }
                exports.release(export);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } catch (ExecutionException | TimeoutException e) {
                notFlushed(export, "it does not answer within shutdown_timeout");
            }
        }
    }

    private static void notFlushed(Export export, String why) {
        LOG.log(Level.WARNING, "export ''{0}'' could not be flushed: {1}", export.name(), why);
    }

    private static void onLoop(IoLoop loop, Runnable task) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        loop.execute(() -> {
            task.run();
            done.complete(null);
        });
        done.join();
    }

    /** Waits for a set that {@link #connections} guards; whether it became empty in time. */
    private boolean awaitEmpty(Set<Connection> set, long deadline) {
        synchronized (connections) {
            try {
                while (!set.isEmpty()) {
                    long millis = (deadline - System.nanoTime()) / 1_000_000;
                    if (millis <= 0) {
                        return false;
                    }
                    connections.wait(millis);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return set.isEmpty();
        }
    }
}

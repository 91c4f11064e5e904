package farsight.device;

import farsight.client.Negotiated;
import farsight.config.ClientConfig;
import farsight.config.DeviceConfig;
import farsight.protocol.Nbd;
import farsight.sys.DeadLinks;
import farsight.sys.ErrnoException;
import farsight.sys.FileLock;
import farsight.sys.NbdDevice;
import farsight.sys.NbdNetlink;
import farsight.sys.NetlinkException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * An export attached to a device by netlink: the kernel has the sockets, and the device lives on without this process,
 * which is there to replace connections that are lost.
 */
final class NetlinkAttachment implements Attachment {
    private static final Logger LOG = Logger.getLogger("farsight.device");

    private static final Duration NODE_LIMIT = Duration.ofSeconds(5);

    /** How long writing out may take, with a server and without one. */
    private static final Duration FLUSH_LIMIT = Duration.ofSeconds(60);

    private static final Duration DEAD_FLUSH_LIMIT = Duration.ofSeconds(5);
    private static final Duration FREE_LIMIT = Duration.ofSeconds(10);
    private static final long POLL_NANOS = 2_000_000;

    private final DeviceFile file;
    private final int index;
    private final Negotiated export;
    private final boolean adopted;
    private final FileLock lock;
    private final Keeper keeper;
    private final AtomicBoolean detaching = new AtomicBoolean();
    private final CompletableFuture<Void> detached = new CompletableFuture<>();

    private NetlinkAttachment(
            DeviceFile file, int index, Negotiated export, boolean adopted, FileLock lock, Keeper keeper) {
        this.file = file;
        this.index = index;
        this.export = export;
        this.adopted = adopted;
        this.lock = lock;
        this.keeper = keeper;
        keeper.start();
    }

    /** @param netlink closed with the attachment, or when there is none */
    static NetlinkAttachment attach(ClientConfig config, NbdNetlink netlink) throws IOException {
        DeadLinks dead = null;
        try {
            dead = netlink.deadLinks();
            Optional<DeviceFile> chosen = config.device().chosen().map(path -> new DeviceFile(Path.of(path)));
            Optional<DeviceFile> there = chosen.isPresent() ? chosen : find(config);
            return there.isPresent()
                    ? attach(config, netlink, dead, there.get())
                    : connectToFree(config, netlink, dead);
        } catch (IOException | RuntimeException e) {
            if (dead != null) {
                dead.close();
            }
            netlink.close();
            throw e;
        }
    }

    private static NetlinkAttachment attach(ClientConfig config, NbdNetlink netlink, DeadLinks dead, DeviceFile file)
            throws IOException {
        file.index();
        FileLock lock = RunDirectory.SYSTEM.lock(file.name()).orElseThrow(file::inUse);
        try {
            if (file.owner().isEmpty()) {
                return connectTo(config, netlink, dead, file, lock);
            }
            if (!isOurs(file, config)) {
                throw file.inUse();
            }
            return adopt(config, netlink, dead, file, lock);
        } catch (IOException | RuntimeException e) {
            lock.close();
            throw e;
        }
    }

    // ---- taking over ---------------------------------------------------------------------------------------------

    /** The device that has this export already. */
    private static Optional<DeviceFile> find(ClientConfig config) throws IOException {
        return DeviceFile.all().stream()
                .filter(device -> device.owner().isPresent() && isOurs(device, config))
                .findFirst();
    }

    /** By what the kernel shows, or before Linux 5.14 by what was written down when the device was made. */
    private static boolean isOurs(DeviceFile file, ClientConfig config) {
        Optional<String> backend = file.backend();
        if (backend.isPresent()) {
            return backend.get().equals(Identifier.of(config.server()));
        }
        return RunDirectory.SYSTEM
                .state(file.name())
                .filter(state -> state.isOf(config.server(), file.owner().orElse("")))
                .isPresent();
    }

    private static NetlinkAttachment adopt(
            ClientConfig config, NbdNetlink netlink, DeadLinks dead, DeviceFile file, FileLock lock)
            throws IOException {
        int index = file.index();
        String identifier = file.backend().orElse(null);
        String uri = config.server().toString();
        DeviceState state = RunDirectory.SYSTEM
                .state(file.name())
                .filter(known -> known.uri().equals(uri))
                .map(known -> known.takenOver(file.size()))
                .orElseGet(() -> unknown(config, file));
        int connections = state.connections();
        KernelTimes times = KernelTimes.of(config.device(), connections);
        netlink.timeouts(index, identifier, times.timeout(), times.deadTimeout());
        if (times.timeout() == 0) {
            file.lookAfter(times.lookMillis());
        }
        file.queue(config.device().queue());
        sayWhatStays(config.device(), file, connections);
        Negotiated export =
                new Negotiated(state.export(), file.size(), state.flags(), "", 1, file.blockSize(), 32 << 20);
        Keeper keeper = new Keeper(
                file,
                index,
                identifier,
                config,
                netlink,
                dead,
                List.of(),
                connections,
                expected(config, export, file.size(), file.blockSize()),
                state);
        return new NetlinkAttachment(file, index, export, true, lock, keeper);
    }

    /** What a device is made with cannot be changed while it is there. */
    private static void sayWhatStays(DeviceConfig config, DeviceFile file, int connections) {
        List<String> other = new ArrayList<>();
        if (config.readOnly() && !file.readOnly()) {
            other.add("read_only");
        }
        if (config.blockSize() != 0 && config.blockSize() != file.blockSize()) {
            other.add("blocksize");
        }
        if (config.connections() != 0 && config.connections() != connections) {
            other.add("connections");
        }
        if (!other.isEmpty()) {
            LOG.log(
                    Level.WARNING,
                    "{0}: is taken over as it is; {1} will be as configured when it is detached and attached anew",
                    new Object[] {file.path(), String.join(", ", other)});
        }
    }

    /** Somebody else made the device, or the file of its state is gone: what can be known. */
    private static DeviceState unknown(ClientConfig config, DeviceFile file) {
        int connections = Math.max(file.queues(), config.device().connections());
        String uri = config.server().toString();
        return DeviceState.found(file, uri, config.exportName(), Nbd.NBD_FLAG_HAS_FLAGS, connections);
    }

    // ---- connecting ----------------------------------------------------------------------------------------------

    private static NetlinkAttachment connectTo(
            ClientConfig config, NbdNetlink netlink, DeadLinks dead, DeviceFile file, FileLock lock)
            throws IOException {
        Links links = Links.open(config);
        try {
            return connect(config, netlink, dead, file, lock, links);
        } catch (NetlinkException e) {
            links.close();
            throw file.refused(e, e.errno());
        } catch (IOException | RuntimeException e) {
            links.close();
            throw e;
        }
    }

    /**
     * The first device that is free. It is not left to the kernel which, so that the device is locked and its state
     * written before others see it.
     */
    private static NetlinkAttachment connectToFree(ClientConfig config, NbdNetlink netlink, DeadLinks dead)
            throws IOException {
        Links links = Links.open(config);
        try {
            for (DeviceFile file : DeviceFile.allAndOneMore()) {
                if (file.owner().isPresent()) {
                    continue;
                }
                Optional<FileLock> lock = RunDirectory.SYSTEM.lock(file.name());
                if (lock.isEmpty()) {
                    continue;
                }
                try {
                    return connect(config, netlink, dead, file, lock.get(), links);
                } catch (NetlinkException e) {
                    lock.get().close();
                    if (e.errno() != NbdDevice.EBUSY) {
                        throw file.refused(e, e.errno());
                    }
                } catch (IOException | RuntimeException e) {
                    lock.get().close();
                    throw e;
                }
            }
            throw new IOException("all devices of the nbd driver are in use; detach one ('farsight status')");
        } catch (IOException | RuntimeException e) {
            links.close();
            throw e;
        }
    }

    /** @throws NetlinkException when the kernel does not make the device */
    private static NetlinkAttachment connect(
            ClientConfig config, NbdNetlink netlink, DeadLinks dead, DeviceFile file, FileLock lock, Links links)
            throws IOException {
        int flags = links.export().flags() | (config.device().readOnly() ? Nbd.NBD_FLAG_READ_ONLY : 0);
        int connections = links.lines().size();
        KernelTimes times = KernelTimes.of(config.device(), connections);
        String identifier = netlink.hasIdentifiers() ? Identifier.of(config.server()) : null;
        NbdNetlink.Setup setup = new NbdNetlink.Setup(
                links.size(), links.blockSize(), times.timeout(), times.deadTimeout(), flags, identifier);
        DeviceState state = DeviceState.beforehand(file, config.server().toString(), "netlink", links, flags);
        RunDirectory.SYSTEM.store(state);
        int index = -1;
        try {
            index = netlink.connect(OptionalInt.of(file.number()), setup, links.descriptors());
            if (times.timeout() == 0) {
                file.lookAfter(times.lookMillis());
            }
            awaitNode(file);
            file.queue(config.device().queue());
            state = state.madeBy(file.owner().orElse(""));
            RunDirectory.SYSTEM.store(state);
            Negotiated shown = links.export(flags);
            Keeper keeper = new Keeper(
                    file,
                    index,
                    identifier,
                    config,
                    netlink,
                    dead,
                    links.lines(),
                    connections,
                    expected(config, shown, links.size(), links.blockSize()),
                    state);
            return new NetlinkAttachment(file, index, shown, false, lock, keeper);
        } catch (IOException | RuntimeException e) {
            if (index >= 0) {
                netlink.disconnect(index);
            }
            RunDirectory.SYSTEM.forget(file.name());
            throw e;
        }
    }

    private static Expected expected(ClientConfig config, Negotiated export, long size, int blockSize) {
        boolean mayGrow = !config.device().resizePoll().isZero();
        return new Expected(export.export(), size, export.flags(), blockSize, mayGrow);
    }

    private static void awaitNode(DeviceFile file) throws IOException {
        if (!await(NODE_LIMIT, () -> Files.exists(file.path()))) {
            throw new IOException(file.path() + ": the kernel made the device, but there is no file for it; is devtmpfs"
                    + " mounted on /dev?");
        }
    }

    private static boolean await(Duration limit, BooleanSupplier condition) {
        long deadline = System.nanoTime() + limit.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                return false;
            }
            LockSupport.parkNanos(POLL_NANOS);
        }
        return true;
    }

    // ---- in use --------------------------------------------------------------------------------------------------

    @Override
    public Path device() {
        return file.path();
    }

    @Override
    public Negotiated export() {
        return export;
    }

    @Override
    public boolean adopted() {
        return adopted;
    }

    @Override
    public void awaitDetached() throws IOException {
        try {
            CompletableFuture.anyOf(detached, keeper.ended()).get();
        } catch (ExecutionException e) {
            throw new IOException(e.getCause().getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() throws IOException {
        if (!detaching.compareAndSet(false, true)) {
            return;
        }
        try {
            if (file.owner().isEmpty()) {
                keeper.stop(false);
                return;
            }
            boolean flushed = flush(keeper.alive() > 0 ? FLUSH_LIMIT : DEAD_FLUSH_LIMIT);
            keeper.stop(!flushed);
            try (NbdNetlink netlink = NbdNetlink.open()) {
                netlink.disconnect(index);
            }
            if (!await(FREE_LIMIT, file::isFree)) {
                throw new IOException(
                        file.path() + ": is disconnected, but still open; it is free when it is unmounted and closed");
            }
            keeper.awaitGoodbyes();
            if (!flushed) {
                throw new IOException(file.path() + ": is detached, but what was not written yet is lost: the server"
                        + " did not answer");
            }
        } finally {
            RunDirectory.SYSTEM.forget(file.name());
            lock.close();
            detached.complete(null);
        }
    }

    /** Writes out what the kernel still has, as long as a server is there to take it. */
    private boolean flush(Duration limit) {
        CompletableFuture<Boolean> done = new CompletableFuture<>();
        Thread.ofPlatform().name("flush").daemon(true).start(() -> {
            try (NbdDevice device = NbdDevice.open(file.path().toString())) {
                device.sync();
                done.complete(true);
            } catch (ErrnoException | RuntimeException e) {
                done.complete(false);
            }
        });
        try {
            return done.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException | ExecutionException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}

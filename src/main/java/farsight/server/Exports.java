package farsight.server;

import farsight.backend.Backend;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.config.ExportAccess;
import farsight.config.ExportConfig;
import farsight.config.ExportRates;
import farsight.protocol.MetaContext;
import farsight.protocol.Text;
import farsight.sys.GranuleMap;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * What clients may open: exports that the configuration names, and names of the form {@code backend:rest} for backends
 * that it has a section for. Each is opened once and shared; it is closed with its last connection, unless its content
 * lives in this process. Any thread.
 */
final class Exports implements AutoCloseable {
    private static final Logger LOG = System.getLogger(Exports.class.getName());

    /** What is noted as changed together; more for large exports, whose map has at most this many bits. */
    private static final long DIRTY_GRANULE = 64 << 10;

    private static final long MOST_DIRTY_BITS = 1 << 26;

    /** How long storage may take to close when the server stops. */
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(30);

    /** An open or opening export, and how many use it. */
    private static final class Entry {
        final CompletableFuture<Export> export = new CompletableFuture<>();

        /** What it was opened by; null when a client named it itself. */
        final ExportConfig config;

        /** What its storage comes from; null when there is no such thing, which fails. */
        final Backend backend;

        int users = 1;

        /** Whether it is offered no more: it is closed with its last connection, whatever it is. */
        boolean retired;

        /** How much may be asked of it, once somebody was told. */
        Rate rate;

        /** Where its changes are noted; null when they are not. */
        GranuleMap changes;

        Entry(ExportConfig config, Backend backend) {
            this.config = config;
            this.backend = backend;
        }
    }

    private volatile Catalog catalog;
    private final ExportList list = new ExportList(ExportList.LIMIT);
    private final Map<String, Entry> open = new HashMap<>();
    private final Map<Export, Entry> entries = new HashMap<>();
    private final Map<String, GranuleMap> changes = new HashMap<>();

    /** What was asked of exports that the configuration names, which outlives their being open. */
    private final Map<String, Map<ServerLoop, Traffic>> traffic = new HashMap<>();

    private final List<ServerLoop> loops;

    /** All that are not closed, whether they are offered or not. */
    private final Set<Entry> live = new HashSet<>();

    private final Supplier<ServerLoop> homes;
    private final Consumer<Export> lost;
    private int closing;
    private boolean stopping;
    private boolean closed;

    /**
     * @param loops those that serve; filled before anything is opened
     * @param homes gives the loop for the next device that has to be at home on one
     * @param lost told, on any thread, of an export whose device has become useless
     */
    Exports(Catalog catalog, List<ServerLoop> loops, Supplier<ServerLoop> homes, Consumer<Export> lost) {
        this.loops = loops;
        this.catalog = catalog;
        this.homes = homes;
        this.lost = lost;
    }

    /** What is offered now. */
    Catalog catalog() {
        return catalog;
    }

    /**
     * Offers something else from now on. What is open and has stayed as it was is shared with the connections to come;
     * what has changed or vanished serves out its own. Its backends belong to this from here on.
     */
    synchronized void replace(Catalog next) {
        Catalog before = catalog;
        catalog = next;
        for (Map.Entry<String, Entry> each : List.copyOf(open.entrySet())) {
            String name = each.getKey();
            Entry entry = each.getValue();
            ExportConfig now = next.configured().get(name);
            boolean same = entry.config == null
                    ? now == null && next.typed(name) == entry.backend
                    : entry.config.servesLike(now) && next.backends().get(now.backend()) == entry.backend;
            if (!same) {
                open.remove(name);
                entry.retired = true;
                if (entry.users == 0) {
                    discard(entry.export.join(), entry);
                }
            }
        }
        for (String name : List.copyOf(changes.keySet())) {
            if (!before.configured().get(name).servesLike(next.configured().get(name))) {
                closeIfUnused(changes.remove(name));
            }
        }
        traffic.keySet().retainAll(next.configured().keySet());
        for (Backend backend : before.backends().values()) {
            closeIfUnused(backend);
        }
    }

    private void closeIfUnused(Backend backend) {
        boolean used =
                catalog.backends().containsValue(backend) || live.stream().anyMatch(entry -> entry.backend == backend);
        if (!closed && !used) {
            Thread.ofPlatform().name("close-backend").daemon(true).start(() -> close(backend));
        }
    }

    private void closeIfUnused(GranuleMap map) {
        if (!closed && live.stream().noneMatch(entry -> entry.changes == map)) {
            map.close();
        }
    }

    /** It is closed, or never opened. Under the lock. */
    private void ended(String name, Entry entry) {
        live.remove(entry);
        if (entry.backend != null) {
            closeIfUnused(entry.backend);
        }
        if (entry.changes != null && changes.get(name) != entry.changes) {
            closeIfUnused(entry.changes);
        }
    }

    /** The exports that the configuration names. */
    List<String> listed() {
        return catalog.configured().keySet().stream().sorted().toList();
    }

    /** All that can be listed, soon. */
    CompletableFuture<List<ExportList.Listed>> list() {
        return list.of(catalog);
    }

    /** Who may open it; names that clients type are for everybody whom the server serves. */
    ExportAccess access(String asked) {
        Catalog offered = catalog;
        ExportConfig config = offered.configured().get(offered.canonical(asked));
        return config == null ? ExportAccess.OPEN : config.access();
    }

    /** What may be asked about the blocks of an export, which is not opened for this; empty when there is none of that name. */
    Optional<Set<MetaContext>> contexts(String asked) {
        Catalog offered = catalog;
        String name = offered.canonical(asked);
        if (offered.configured().containsKey(name)) {
            EnumSet<MetaContext> known = EnumSet.of(MetaContext.ALLOCATION, MetaContext.DIRTY);
            if (offered.configured().get(name).layers().stream()
                    .anyMatch(layer -> layer.layer().tellsDepth())) {
                known.add(MetaContext.DEPTH);
            }
            return Optional.of(known);
        }
        if (offered.typed(name) == null) {
            return Optional.empty();
        }
        try {
            offered.parse(name);
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
        // Changes are noted for a number of exports that is known, which clients' own names are not.
        return Optional.of(EnumSet.of(MetaContext.ALLOCATION));
    }

    /** An export for one more connection, opened if need be on a thread of its own; {@link #release} when it is over. */
    CompletableFuture<Export> open(String asked) {
        Entry entry;
        String name;
        Catalog offered;
        synchronized (this) {
            offered = catalog;
            name = offered.canonical(asked);
            if (stopping) {
                return CompletableFuture.failedFuture(new farsight.backend.DeviceException(
                        farsight.backend.Errno.ESHUTDOWN, "the server is stopping"));
            }
            entry = open.get(name);
            if (entry != null && !isLost(entry)) {
                entry.users++;
                return entry.export;
            }
            entry = entry(offered, name);
            open.put(name, entry);
        }
        Entry opening = entry;
        Thread.ofPlatform().name("open-" + name).daemon(true).start(() -> open(name, opening, offered));
        return entry.export;
    }

    private Entry entry(Catalog offered, String name) {
        ExportConfig config = offered.configured().get(name);
        Backend backend =
                config == null ? offered.typed(name) : offered.backends().get(config.backend());
        Entry entry = new Entry(config, backend);
        live.add(entry);
        return entry;
    }

    /** A lost device serves out its connections; the next one gets a new device. */
    private static boolean isLost(Entry entry) {
        return entry.export.isDone()
                && !entry.export.isCompletedExceptionally()
                && entry.export.join().device().lost();
    }

    private void open(String name, Entry entry, Catalog offered) {
        try {
            Export export = openDevice(name, entry, offered);
            export.count(traffic(name, entry));
            settle(export);
            export.device().whenLost(() -> lost.accept(export));
            synchronized (this) {
                entries.put(export, entry);
            }
            entry.export.complete(export);
        } catch (IOException | RuntimeException | Error e) {
            synchronized (this) {
                open.remove(name, entry);
                ended(name, entry);
            }
            LOG.log(Level.WARNING, "export {0} cannot be opened: {1}", Text.quote(name), e.getMessage());
            entry.export.completeExceptionally(e);
        }
    }

    private synchronized Map<ServerLoop, Traffic> traffic(String name, Entry entry) {
        Map<ServerLoop, Traffic> counted = entry.config == null ? null : traffic.get(name);
        if (counted == null) {
            counted = new HashMap<>();
            for (ServerLoop loop : loops) {
                counted.put(loop, new Traffic());
            }
            if (entry.config != null) {
                traffic.put(name, counted);
            }
        }
        return counted;
    }

    /** What was asked of each export: of those that the configuration names, and of others that are open. */
    synchronized Map<String, Set<Traffic>> traffic() {
        Map<String, Set<Traffic>> all = new HashMap<>();
        traffic.forEach((name, counted) -> all.put(name, new HashSet<>(counted.values())));
        for (Export export : entries.keySet()) {
            all.computeIfAbsent(export.name(), name -> new HashSet<>()).addAll(export.traffic());
        }
        return all;
    }

    /** How much may be asked of an export as it is configured now; null for as much as there is. */
    synchronized Rate rate(Export export) {
        Entry entry = entries.get(export);
        ExportConfig config = entry.config == null ? null : catalog.configured().get(export.name());
        ExportRates wanted = config == null ? ExportRates.NONE : config.rates();
        if (wanted.equals(ExportRates.NONE)) {
            return null;
        }
        if (entry.rate == null || !entry.rate.rates().equals(wanted)) {
            entry.rate = new Rate(wanted, loops.getFirst().loop().now());
        }
        return entry.rate;
    }

    private void settle(Export export) throws IOException {
        if (export.needsHome()) {
            try {
                export.settle(homes.get());
            } catch (IOException e) {
                close(export);
                throw e;
            }
        }
    }

    private Export openDevice(String name, Entry entry, Catalog offered) throws IOException {
        ExportConfig config = entry.config;
        if (config != null) {
            Device device = Chain.over(name, entry.backend.open(config.settings()), config.layers());
            return new Export(
                    name,
                    config.description(),
                    device,
                    config.readOnly(),
                    config.exactBlocks(),
                    changes(name, entry, device));
        }
        if (entry.backend == null) {
            throw new UnknownExportException(offered.unknown(name));
        }
        Settings settings;
        try {
            settings = offered.parse(name);
        } catch (IllegalArgumentException e) {
            throw new UnknownExportException(e.getMessage());
        }
        return new Export(name, "", entry.backend.openTyped(settings), false, false, null);
    }

    /** Where changes of a configured export are noted; they outlive its device, which is closed when nobody uses it. */
    private GranuleMap changes(String name, Entry entry, Device device) throws IOException {
        synchronized (this) {
            GranuleMap map = entry.retired ? null : changes.get(name);
            if (map == null) {
                long granule = DIRTY_GRANULE;
                while (device.size() / granule > MOST_DIRTY_BITS) {
                    granule *= 2;
                }
                map = new GranuleMap(device.size(), granule);
                if (!entry.retired) {
                    changes.put(name, map);
                }
            }
            entry.changes = map;
            return map;
        }
    }

    /** One connection fewer uses it. */
    synchronized void release(Export export) {
        Entry entry = entries.get(export);
        if (--entry.users == 0 && !closed && (!keepsOpen(export, entry) || entry.retired)) {
            discard(export, entry);
        }
    }

    /** What would be lost: content that lives in this process, or a device that somebody gave who cannot give it again. */
    private static boolean keepsOpen(Export export, Entry entry) {
        return export.memory() != 0 || entry.backend instanceof EmbeddedDevices;
    }

    /** Closes what nobody uses. Under the lock. */
    private void discard(Export export, Entry entry) {
        entries.remove(export);
        open.values().remove(entry);
        closing++;
        // Storage may take its time to close, and this may be a loop.
        Thread.ofPlatform().name("close-" + export.name()).daemon(true).start(() -> {
            close(export);
            synchronized (this) {
                ended(export.name(), entry);
                closing--;
                notifyAll();
            }
        });
    }

    private static void close(Export export) {
        try {
            export.close();
        } catch (IOException | UncheckedIOException e) {
            LOG.log(Level.WARNING, "export {0} did not close well: {1}", Text.quote(export.name()), e.getMessage());
        }
    }

    /** Opens nothing any more. */
    synchronized void stop() {
        stopping = true;
    }

    /** All that are open now, each with one more user: {@link #release} them. */
    synchronized List<Export> retained() {
        entries.values().forEach(entry -> entry.users++);
        return List.copyOf(entries.keySet());
    }

    /** Closes every export. No connection may be left. */
    @Override
    public void close() {
        List<Entry> left;
        synchronized (this) {
            stopping = true;
            closed = true;
            Set<Entry> all = new HashSet<>(open.values());
            all.addAll(entries.values());
            left = List.copyOf(all);
            open.clear();
            entries.clear();
        }
        for (Entry entry : left) {
            try {
                if (entry.users > 0 && entry.export.join().device().lost()) {
                    continue; // it still has requests, which closing it would wait for
                }
                close(entry.export.join());
            } catch (CompletionException e) {
                // It never opened, which was said when it happened.
            }
        }
        if (!awaitClosed()) {
            // What still closes uses its backend, and the process is about to end.
            LOG.log(Level.WARNING, "storage is not closed after {0} s; leaving it as it is", CLOSE_LIMIT.toSeconds());
            return;
        }
        Set<Backend> backends = Collections.newSetFromMap(new IdentityHashMap<>());
        synchronized (this) {
            Set<GranuleMap> maps = new HashSet<>(changes.values());
            backends.addAll(catalog.backends().values());
            for (Entry entry : live) {
                if (entry.backend != null) {
                    backends.add(entry.backend);
                }
                if (entry.changes != null) {
                    maps.add(entry.changes);
                }
            }
            maps.forEach(GranuleMap::close);
        }
        backends.forEach(Exports::close);
    }

    private static void close(Backend backend) {
        try {
            backend.close();
        } catch (IOException e) {
            LOG.log(Level.WARNING, "a backend did not close well: {0}", e.getMessage());
        }
    }

    /** Waits for exports that their last connections left open to close. */
    private synchronized boolean awaitClosed() {
        long deadline = System.nanoTime() + CLOSE_LIMIT.toNanos();
        try {
            while (closing > 0) {
                long millis = (deadline - System.nanoTime()) / 1_000_000;
                if (millis <= 0) {
                    return false;
                }
                wait(millis);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return closing == 0;
    }
}

package farsight.server;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.config.ExportConfig;
import farsight.protocol.MetaContext;
import farsight.protocol.Text;
import farsight.sys.GranuleMap;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/**
 * What clients may open: exports that the configuration names, and names of the form {@code backend:rest} for backends
 * that it has a section for. Each is opened once and shared; it is closed with its last connection, unless its content
 * lives in this process. Any thread.
 */
final class Exports implements AutoCloseable {
    private static final Logger LOG = System.getLogger(Exports.class.getName());

    /** How many exports are listed at most. */
    private static final int MOST_LISTED = 10_000;

    /** What is noted as changed together; more for large exports, whose map has at most this many bits. */
    private static final long DIRTY_GRANULE = 64 << 10;

    private static final long MOST_DIRTY_BITS = 1 << 26;

    /** How long storage may take to close when the server stops. */
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(30);

    /** An open or opening export, and how many use it. */
    private static final class Entry {
        final CompletableFuture<Export> export = new CompletableFuture<>();
        int users = 1;
    }

    private final Map<String, BackendProvider> providers;
    private final Map<String, Backend> backends;
    private final Map<String, Backend> typed;
    private final Map<String, ExportConfig> configured;
    private final Map<String, Entry> open = new HashMap<>();
    private final Map<Export, Entry> entries = new HashMap<>();
    private final Map<String, GranuleMap> changes = new HashMap<>();
    private final Supplier<ServerLoop> homes;
    private int closing;
    private boolean stopping;
    private boolean closed;

    /**
     * @param backends all that exports may use, by name
     * @param typed those of them that clients may name themselves
     * @param configured exports by name
     * @param homes gives the loop for the next device that has to be at home on one
     */
    Exports(
            Map<String, BackendProvider> providers,
            Map<String, Backend> backends,
            Map<String, Backend> typed,
            Map<String, ExportConfig> configured,
            Supplier<ServerLoop> homes) {
        this.homes = homes;
        this.providers = providers;
        this.backends = backends;
        this.typed = typed;
        this.configured = configured;
    }

    /** The exports that the configuration names. */
    List<String> listed() {
        return configured.keySet().stream().sorted().toList();
    }

    /** An export as NBD_OPT_LIST tells it. */
    record Listed(String name, String description) {}

    /**
     * All that can be listed: what the configuration names, and what backends know that clients may name. On a thread of
     * its own.
     */
    CompletableFuture<List<Listed>> list() {
        CompletableFuture<List<Listed>> result = new CompletableFuture<>();
        Thread.ofPlatform().name("list-exports").daemon(true).start(() -> {
            try {
                result.complete(listAll());
            } catch (RuntimeException | Error e) {
                result.completeExceptionally(e);
            }
        });
        return result;
    }

    private List<Listed> listAll() {
        List<Listed> all = new ArrayList<>();
        for (String name : listed()) {
            all.add(new Listed(name, configured.get(name).description()));
        }
        for (String backend : typed.keySet().stream().sorted().toList()) {
            try {
                for (String spec : typed.get(backend).list()) {
                    if (all.size() < MOST_LISTED) {
                        all.add(new Listed(backend + ":" + spec, ""));
                    }
                }
            } catch (IOException | RuntimeException e) {
                LOG.log(Level.WARNING, "backend {0} cannot list its exports: {1}", backend, e.getMessage());
            }
        }
        return all;
    }

    /** What may be asked about the blocks of an export, which is not opened for this; empty when there is none of that name. */
    Optional<Set<MetaContext>> contexts(String asked) {
        String name = canonical(asked);
        if (configured.containsKey(name)) {
            return Optional.of(EnumSet.allOf(MetaContext.class));
        }
        int colon = name.indexOf(':');
        if (colon < 0 || !typed.containsKey(name.substring(0, colon))) {
            return Optional.empty();
        }
        try {
            providers.get(name.substring(0, colon)).parse(name.substring(colon + 1));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
        // Changes are noted for a number of exports that is known, which clients' own names are not.
        return Optional.of(EnumSet.of(MetaContext.ALLOCATION));
    }

    private String canonical(String asked) {
        return asked.isEmpty() && configured.size() == 1
                ? configured.keySet().iterator().next()
                : asked;
    }

    /** An export for one more connection, opened if need be on a thread of its own; {@link #release} when it is over. */
    CompletableFuture<Export> open(String asked) {
        String name = canonical(asked);
        Entry entry;
        synchronized (this) {
            if (stopping) {
                return CompletableFuture.failedFuture(new farsight.backend.DeviceException(
                        farsight.backend.Errno.ESHUTDOWN, "the server is stopping"));
            }
            entry = open.get(name);
            if (entry != null && !isLost(entry)) {
                entry.users++;
                return entry.export;
            }
            entry = new Entry();
            open.put(name, entry);
        }
        Entry opening = entry;
        Thread.ofPlatform().name("open-" + name).daemon(true).start(() -> open(name, opening));
        return entry.export;
    }

    /** A lost device serves out its connections; the next one gets a new device. */
    private static boolean isLost(Entry entry) {
        return entry.export.isDone()
                && !entry.export.isCompletedExceptionally()
                && entry.export.join().device().lost();
    }

    private void open(String name, Entry entry) {
        try {
            Export export = openDevice(name);
            settle(export);
            synchronized (this) {
                entries.put(export, entry);
            }
            entry.export.complete(export);
        } catch (IOException | RuntimeException | Error e) {
            synchronized (this) {
                open.remove(name, entry);
            }
            LOG.log(Level.WARNING, "export {0} cannot be opened: {1}", Text.quote(name), e.getMessage());
            entry.export.completeExceptionally(e);
        }
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

    private Export openDevice(String name) throws IOException {
        ExportConfig config = configured.get(name);
        if (config != null) {
            Device device = backends.get(config.backend()).open(config.settings());
            return new Export(
                    name, config.description(), device, config.readOnly(), config.exactBlocks(), changes(name, device));
        }
        int colon = name.indexOf(':');
        Backend backend = colon < 0 ? null : typed.get(name.substring(0, colon));
        if (backend == null) {
            throw new UnknownExportException(unknown(name, colon));
        }
        Settings settings;
        try {
            settings = providers.get(name.substring(0, colon)).parse(name.substring(colon + 1));
        } catch (IllegalArgumentException e) {
            throw new UnknownExportException(e.getMessage());
        }
        return new Export(name, "", backend.openTyped(settings), false, false, null);
    }

    /** Where changes of a configured export are noted; they outlive its device, which is closed when nobody uses it. */
    private GranuleMap changes(String name, Device device) throws IOException {
        synchronized (this) {
            GranuleMap map = changes.get(name);
            if (map == null) {
                long granule = DIRTY_GRANULE;
                while (device.size() / granule > MOST_DIRTY_BITS) {
                    granule *= 2;
                }
                map = new GranuleMap(device.size(), granule);
                changes.put(name, map);
            }
            return map;
        }
    }

    private String unknown(String name, int colon) {
        if (name.isEmpty()) {
            return "there is no default export; name one";
        }
        if (colon > 0 && providers.containsKey(name.substring(0, colon))) {
            return "exports of backend '" + name.substring(0, colon)
                    + "' are not served by name here: the server's file has no section for it";
        }
        return "no export has the name " + Text.quote(name);
    }

    /** One connection fewer uses it. */
    void release(Export export) {
        synchronized (this) {
            Entry entry = entries.get(export);
            if (--entry.users > 0 || closed || export.memory() != 0) {
                return;
            }
            entries.remove(export);
            open.values().remove(entry);
            closing++;
        }
        // Storage may take its time to close, and this may be a loop.
        Thread.ofPlatform().name("close-" + export.name()).daemon(true).start(() -> {
            close(export);
            synchronized (this) {
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
        changes.values().forEach(GranuleMap::close);
        backends.values().forEach(backend -> {
            try {
                backend.close();
            } catch (IOException e) {
                LOG.log(Level.WARNING, "a backend did not close well: {0}", e.getMessage());
            }
        });
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

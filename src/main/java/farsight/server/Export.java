package farsight.server;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockDevice;
import farsight.backend.Device;
import farsight.backend.Feature;
import farsight.loop.IoLoop;
import farsight.protocol.Nbd;
import farsight.sys.GranuleMap;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** An open storage as clients see it. Shared by its connections on all loops, unless its device is at home on one. */
final class Export {
    private final String name;
    private final String description;
    private final AsyncBlockDevice device;
    private final boolean readOnly;
    private final Set<Feature> features;
    private final int flags;

    /** For clients that may only read. */
    private final int flagsToRead;

    private final long memory;
    private final GranuleMap dirty;
    private Map<ServerLoop, Traffic> traffic = Map.of();

    /** Where the device's completions are reaped, and how that ends; null for devices that complete by themselves. */
    private ServerLoop home;

    private Runnable watch;

    /**
     * @param readOnly whether it is served read-only although the storage could be written
     * @param exactBlocks whether clients have to keep to the storage's block sizes
     * @param dirty where its changes are noted; null when nobody may ask for them
     */
    Export(String name, String description, Device device, boolean readOnly, boolean exactBlocks, GranuleMap dirty) {
        this.dirty = dirty;
        this.name = name;
        this.description = description.isEmpty() ? device.description() : description;
        AsyncBlockDevice async = switch (device) {
            case AsyncBlockDevice already -> already;
            case BlockDevice simple -> new BlockingAdapter(name, simple);
        };
        this.device = device.blockSizes().minimum() > 1 && !exactBlocks ? new WholeBlocks(async) : async;
        this.readOnly = readOnly || device.readOnly();
        features = Set.copyOf(device.features());
        flags = flags(this.readOnly);
        flagsToRead = flags(true);
        MemorySegment lent = this.device.memory();
        memory = lent == null ? 0 : lent.address();
    }

    /** proto.md, "Transmission flags". One device serves all connections, so a flush on one covers all of them. */
    private int flags(boolean readOnly) {
        int result = Nbd.NBD_FLAG_HAS_FLAGS | Nbd.NBD_FLAG_CAN_MULTI_CONN;
        if (features.contains(Feature.ROTATIONAL)) {
            result |= Nbd.NBD_FLAG_ROTATIONAL;
        }
        if (features.contains(Feature.CACHE)) {
            result |= Nbd.NBD_FLAG_SEND_CACHE;
        }
        if (readOnly) {
            return result | Nbd.NBD_FLAG_READ_ONLY;
        }
        // Storage that cannot zero quickly fails quickly, which is as good to know.
        result |= Nbd.NBD_FLAG_SEND_WRITE_ZEROES | Nbd.NBD_FLAG_SEND_FAST_ZERO;
        if (features.contains(Feature.FLUSH)) {
            result |= Nbd.NBD_FLAG_SEND_FLUSH;
        }
        if (features.contains(Feature.FLUSH) || features.contains(Feature.FUA)) {
            result |= Nbd.NBD_FLAG_SEND_FUA;
        }
        if (features.contains(Feature.TRIM)) {
            result |= Nbd.NBD_FLAG_SEND_TRIM;
        }
        return result;
    }

    String name() {
        return name;
    }

    String description() {
        return description;
    }

    AsyncBlockDevice device() {
        return device;
    }

    long size() {
        return device.size();
    }

    boolean can(Feature feature) {
        return features.contains(feature);
    }

    /** What is advertised, NBD_FLAG_*, which depends on what was negotiated. */
    int transmissionFlags(Terms terms) {
        boolean payload = terms.style().extended() && !terms.contexts().isEmpty();
        return (terms.readOnly() ? flagsToRead : flags)
                | (terms.style().chunked() ? Nbd.NBD_FLAG_SEND_DF : 0)
                | (payload ? Nbd.NBD_FLAG_BLOCK_STATUS_PAYLOAD : 0);
    }

    /** Where what clients on a loop ask is counted. Before there are connections. */
    void count(Map<ServerLoop, Traffic> counted) {
        traffic = counted;
    }

    /** Where what clients on a loop ask is counted. */
    Traffic traffic(ServerLoop loop) {
        return traffic.get(loop);
    }

    /** All of it. */
    Collection<Traffic> traffic() {
        return traffic.values();
    }

    /** Address of the storage's memory when it lends it, else 0. */
    long memory() {
        return memory;
    }

    /** Notes that a range is about to be changed. */
    void changing(long offset, long length) {
        if (dirty != null) {
            dirty.mark(offset, length);
        }
    }

    /** What was changed since the server was started; null when that is not noted. */
    GranuleMap dirty() {
        return dirty;
    }

    /** Makes all that clients were told is written stable, as one flush of them all: 0 or the errno that it failed with. */
    CompletableFuture<Integer> flush(IoLoop loop) {
        if (readOnly || !features.contains(Feature.FLUSH)) {
            return CompletableFuture.completedFuture(0);
        }
        FlushRequest request = new FlushRequest();
        (home == null ? loop : home.loop()).execute(() -> {
            device.submit(request);
            device.submitted();
        });
        return request.result();
    }

    // ---- home ----------------------------------------------------------------------------------------------------

    /** Whether the device completes nothing by itself, so that a loop has to be its home. */
    boolean needsHome() {
        return device.completionDescriptor() >= 0;
    }

    /** Lets a loop reap the device from now on. Before there are connections; not on a loop. */
    void settle(ServerLoop loop) throws IOException {
        CompletableFuture<Runnable> watched = new CompletableFuture<>();
        loop.loop().execute(() -> {
            try {
                watched.complete(loop.loop().watchSignals(device.completionDescriptor(), device::reap));
                loop.reserve();
            } catch (RuntimeException e) {
                watched.completeExceptionally(e);
            }
        });
        try {
            watch = watched.join();
        } catch (CompletionException e) {
            throw new IOException(
                    "its completions cannot be watched: " + e.getCause().getMessage(), e.getCause());
        }
        home = loop;
    }

    /** The loop that its connections have to be on; null when any will do. */
    ServerLoop home() {
        return home;
    }

    /** Nobody uses it any more, and all its requests are completed. Blocks; not on a loop. */
    void close() throws IOException {
        if (home != null) {
            CompletableFuture<Void> unwatched = new CompletableFuture<>();
            home.loop().execute(() -> {
                watch.run();
                home.release();
                unwatched.complete(null);
            });
            unwatched.join();
        }
        device.close();
    }
}

package farsight.server;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockDevice;
import farsight.backend.Device;
import farsight.backend.Feature;
import farsight.protocol.Nbd;
import farsight.sys.GranuleMap;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/** An open storage as clients see it. Shared by its connections on all loops; immutable but for the storage itself. */
final class Export {
    private final String name;
    private final String description;
    private final AsyncBlockDevice device;
    private final boolean readOnly;
    private final Set<Feature> features;
    private final int flags;
    private final long memory;
    private final GranuleMap dirty;

    /**
     * @param readOnly whether it is served read-only although the storage could be written
     * @param dirty where its changes are noted; null when nobody may ask for them
     */
    Export(String name, String description, Device device, boolean readOnly, GranuleMap dirty) {
        this.dirty = dirty;
        this.name = name;
        this.description = description.isEmpty() ? device.description() : description;
        AsyncBlockDevice async = switch (device) {
            case AsyncBlockDevice already -> already;
            case BlockDevice simple -> new BlockingAdapter(name, simple);
        };
        this.device = device.blockSizes().minimum() > 1 ? new WholeBlocks(async) : async;
        this.readOnly = readOnly || device.readOnly();
        features = Set.copyOf(device.features());
        flags = flags();
        MemorySegment lent = this.device.memory();
        memory = lent == null ? 0 : lent.address();
    }

    /** proto.md, "Transmission flags". One device serves all connections, so a flush on one covers all of them. */
    private int flags() {
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
        return flags
                | (terms.style().chunked() ? Nbd.NBD_FLAG_SEND_DF : 0)
                | (payload ? Nbd.NBD_FLAG_BLOCK_STATUS_PAYLOAD : 0);
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

    void close() throws IOException {
        device.close();
    }
}

package farsight.backend.rbd;

import farsight.backend.Backend;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Settings;
import java.io.IOException;
import java.util.List;

/** The images of one cluster. Connects when the first one is opened; images share the connections in turn. */
final class RbdBackend implements Backend {
    private static final long MOST_HANDLES = 64;

    /** What may be named without {@code allow}. */
    private static final List<String> EVERYTHING = List.of("*/*", "*/*/*");

    private final Settings settings;
    private final List<String> allow;
    private final RadosCluster[] clusters;
    private int next;

    RbdBackend(Settings settings) throws IOException {
        this.settings = settings;
        allow = settings.strings("allow");
        long handles = settings.number("handles").orElse(1);
        if (handles < 1 || handles > MOST_HANDLES) {
            throw new IOException("[rbd] handles is " + handles + "; it must be from 1 to " + MOST_HANDLES);
        }
        clusters = new RadosCluster[(int) handles];
    }

    @Override
    public Device openTyped(Settings export) throws IOException {
        ImageSpec spec = ImageSpec.of(export);
        if (settings.has("allow") && allow.stream().noneMatch(spec::matches)) {
            throw new DeviceException(
                    Errno.EPERM, "rbd image " + spec + " may not be named by clients here ([rbd] allow)");
        }
        return open(export);
    }

    @Override
    public Device open(Settings export) throws IOException {
        RbdLibrary.require();
        ImageSpec spec = ImageSpec.of(export);
        boolean batch = !settings.has("batch") || settings.flag("batch");
        return connected(cluster -> RbdDevice.open(cluster, spec, export, batch));
    }

    @Override
    public List<String> list() throws IOException {
        RbdLibrary.require();
        List<String> patterns = settings.has("allow") ? allow : EVERYTHING;
        if (patterns.isEmpty()) {
            return List.of();
        }
        return connected(cluster -> {
            List<String> images = new ImageListing(cluster, patterns).images();
            cluster.release();
            return images;
        });
    }

    /** Something that keeps the connection for itself when it succeeds. */
    private interface ClusterCall<T> {
        T with(RadosCluster cluster) throws IOException;
    }

    private <T> T connected(ClusterCall<T> call) throws IOException {
        try {
            return once(call);
        } catch (DeviceException e) {
            if (e.errno() != Errno.ESHUTDOWN) {
                throw e;
            }
            return once(call); // on a connection that the cluster does not know yet
        }
    }

    private <T> T once(ClusterCall<T> call) throws IOException {
        RadosCluster cluster = cluster();
        try {
            return call.with(cluster);
        } catch (IOException | RuntimeException e) {
            if (e instanceof DeviceException device && device.errno() == Errno.ESHUTDOWN) {
                cluster.lost();
            }
            cluster.release();
            throw e;
        }
    }

    /** A connection to use once; a lost one is replaced. */
    private synchronized RadosCluster cluster() throws IOException {
        int index = Math.floorMod(next++, clusters.length);
        if (clusters[index] == null || !clusters[index].use()) {
            clusters[index] = null;
            clusters[index] = RadosCluster.connect(
                    settings.string("cluster").orElse("ceph"),
                    settings.string("ceph_user").orElse("admin"),
                    settings.string("ceph_conf").orElse("/etc/ceph/ceph.conf"),
                    settings.table("options"));
            clusters[index].use();
        }
        return clusters[index];
    }

    @Override
    public synchronized void close() {
        for (int i = 0; i < clusters.length; i++) {
            if (clusters[i] != null) {
                clusters[i].close();
                clusters[i] = null;
            }
        }
    }
}

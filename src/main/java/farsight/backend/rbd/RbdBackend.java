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
        try {
            return open(spec, export);
        } catch (DeviceException e) {
            if (e.errno() != Errno.ESHUTDOWN) {
                throw e;
            }
            return open(spec, export); // on a connection that the cluster does not know yet
        }
    }

    private Device open(ImageSpec spec, Settings export) throws IOException {
        RadosCluster cluster = cluster();
        try {
            return RbdDevice.open(cluster, spec, export);
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

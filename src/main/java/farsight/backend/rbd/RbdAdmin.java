package farsight.backend.rbd;

import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Settings;
import farsight.bindings.rbd.Rbd;
import farsight.config.Sizes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Makes, changes and removes images, as Ceph's own {@code rbd} does. Images are named {@code [pool/[namespace/]]image}, in
 * the pool "rbd" when none is said. Calls block; errors are one line for people.
 */
public final class RbdAdmin implements AutoCloseable {
    private static final String DEFAULT_POOL = "rbd";

    private final RadosCluster cluster;

    private RbdAdmin(RadosCluster cluster) {
        this.cluster = cluster;
    }

    /** @param section the keys of the server's section {@code [rbd]} */
    public static RbdAdmin connect(Settings section) throws DeviceException {
        RbdLibrary.require();
        // What librbd has to say of errors is in ours.
        Map<String, String> options = new HashMap<>(Map.of("log_to_stderr", "false", "err_to_stderr", "false"));
        options.putAll(section.table("options"));
        return new RbdAdmin(RadosCluster.connect(
                section.string("cluster").orElse("ceph"),
                section.string("ceph_user").orElse("admin"),
                section.string("ceph_conf").orElse("/etc/ceph/ceph.conf"),
                options));
    }

    /** @throws IllegalArgumentException with a message for people */
    static ImageSpec spec(String text) {
        return ImageSpec.parse(text.contains("/") ? text : DEFAULT_POOL + "/" + text);
    }

    private static ImageSpec image(String text) throws DeviceException {
        ImageSpec spec = parsed(text);
        if (!spec.snapshot().isEmpty()) {
            throw new DeviceException(Errno.EINVAL, "'" + text + "' names a snapshot where an image is asked for");
        }
        return spec;
    }

    private static ImageSpec snapshot(String text) throws DeviceException {
        ImageSpec spec = parsed(text);
        if (spec.snapshot().isEmpty()) {
            throw new DeviceException(Errno.EINVAL, "'" + text + "' names no snapshot; write IMAGE@SNAPSHOT");
        }
        return spec;
    }

    private static ImageSpec parsed(String text) throws DeviceException {
        try {
            return spec(text);
        } catch (IllegalArgumentException e) {
            throw new DeviceException(Errno.EINVAL, "'" + text + "' is not [POOL/[NAMESPACE/]]IMAGE[@SNAPSHOT]", e);
        }
    }

    // ---- in a pool -----------------------------------------------------------------------------------------------

    /** Something done with an open pool. */
    private interface PoolCall<T> {
        T with(MemorySegment pool, Arena arena) throws DeviceException;
    }

    private <T> T inPool(String pool, String namespace, PoolCall<T> call) throws DeviceException {
        MemorySegment context = cluster.openPool(pool, namespace);
        try (Arena arena = Arena.ofConfined()) {
            return call.with(context, arena);
        } finally {
            RadosCluster.closePool(context);
        }
    }

    /**
     * The names of all images.
     *
     * @param place {@code pool[/namespace]}; empty for the default pool
     */
    public List<String> list(String place) throws DeviceException {
        int slash = place.indexOf('/');
        String pool = slash >= 0 ? place.substring(0, slash) : place.isEmpty() ? DEFAULT_POOL : place;
        String namespace = slash >= 0 ? place.substring(slash + 1) : "";
        return ImageListing.images(cluster, pool, namespace);
    }

    /** Makes an image with the cluster's default features. */
    public void create(String name, long size) throws DeviceException {
        ImageSpec spec = image(name);
        inPool(spec.pool(), spec.namespace(), (pool, arena) -> {
            MemorySegment options = options(arena);
            int result = Rbd.rbd_create4(pool, arena.allocateFrom(spec.image()), size, options);
            Rbd.rbd_image_options_destroy(options);
            RbdError.check(result, "rbd image " + spec);
            return null;
        });
    }

    private static MemorySegment options(Arena arena) {
        MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
        Rbd.rbd_image_options_create(out);
        return out.get(ValueLayout.ADDRESS, 0);
    }

    /** Makes an image that has the content of a snapshot until it is written to. */
    public void copyOnWrite(String parent, String child) throws DeviceException {
        ImageSpec from = snapshot(parent);
        ImageSpec to = image(child);
        inPool(
                from.pool(),
                from.namespace(),
                (parentPool, parentArena) -> inPool(to.pool(), to.namespace(), (pool, arena) -> {
                    MemorySegment options = options(arena);
                    int result = Rbd.rbd_clone3(
                            parentPool,
                            arena.allocateFrom(from.image()),
                            arena.allocateFrom(from.snapshot()),
                            pool,
                            arena.allocateFrom(to.image()),
                            options);
                    Rbd.rbd_image_options_destroy(options);
                    if (result == -Errno.EINVAL && !snapshotOf(from).isProtected()) {
                        throw new DeviceException(
                                Errno.EINVAL,
                                "rbd image " + from + ": is not protected; farsight rbd snap protect " + from);
                    }
                    RbdError.check(result, "rbd image " + to + " as a clone of " + from);
                    return null;
                }));
    }

    private SnapshotInfo snapshotOf(ImageSpec spec) throws DeviceException {
        return with(spec, true, ImageHandle::snapshots).stream()
                .filter(snapshot -> snapshot.name().equals(spec.snapshot()))
                .findFirst()
                .orElseThrow(() -> new DeviceException(Errno.EINVAL, "rbd image " + spec + ": no such snapshot"));
    }

    /** Removes an image and all that is in it. */
    public void remove(String name) throws DeviceException {
        ImageSpec spec = image(name);
        // librbd says of an image with snapshots only that it is busy, and that after looking for its users.
        if (!with(spec, true, ImageHandle::snapshots).isEmpty()) {
            throw new DeviceException(
                    Errno.EINVAL,
                    "rbd image " + spec + ": has snapshots; remove them first (farsight rbd snap ls " + spec + ")");
        }
        inPool(spec.pool(), spec.namespace(), (pool, arena) -> {
            RbdError.check(Rbd.rbd_remove(pool, arena.allocateFrom(spec.image())), "rbd image " + spec);
            return null;
        });
    }

    // ---- of an image ---------------------------------------------------------------------------------------------

    /** Something done with an open image. */
    private interface ImageCall<T> {
        T with(ImageHandle image) throws DeviceException;
    }

    private <T> T with(ImageSpec spec, boolean readOnly, ImageCall<T> call) throws DeviceException {
        return inPool(spec.pool(), spec.namespace(), (pool, arena) -> {
            try (ImageHandle image = ImageHandle.open(pool, spec, readOnly)) {
                return call.with(image);
            }
        });
    }

    public ImageInfo info(String name) throws DeviceException {
        return with(image(name), true, ImageHandle::info);
    }

    /** @param mayShrink whether content beyond the new end may be thrown away */
    public void resize(String name, long size, boolean mayShrink) throws DeviceException {
        ImageSpec spec = image(name);
        with(spec, false, image -> {
            long now = image.size();
            if (size < now && !mayShrink) {
                throw new DeviceException(
                        Errno.EINVAL,
                        "rbd image " + spec + ": has " + Sizes.format(now) + ", and what is beyond "
                                + Sizes.format(size) + " would be lost; --allow-shrink does it");
            }
            image.resize(size);
            return null;
        });
    }

    public List<SnapshotInfo> snapshots(String name) throws DeviceException {
        return with(image(name), true, ImageHandle::snapshots);
    }

    public void createSnapshot(String name) throws DeviceException {
        onSnapshot(name, Rbd::rbd_snap_create);
    }

    public void removeSnapshot(String name) throws DeviceException {
        onSnapshot(name, Rbd::rbd_snap_remove);
    }

    /** Clones of it may be made from now on, and it cannot be removed. */
    public void protectSnapshot(String name) throws DeviceException {
        onSnapshot(name, Rbd::rbd_snap_protect);
    }

    public void unprotectSnapshot(String name) throws DeviceException {
        onSnapshot(name, Rbd::rbd_snap_unprotect);
    }

    private void onSnapshot(String name, ImageHandle.SnapshotCall call) throws DeviceException {
        ImageSpec spec = snapshot(name);
        with(new ImageSpec(spec.pool(), spec.namespace(), spec.image(), ""), false, image -> {
            image.onSnapshot(spec, call);
            return null;
        });
    }

    @Override
    public void close() {
        cluster.close();
    }
}

package farsight.backend.rbd;

import farsight.backend.DeviceException;
import farsight.bindings.rbd.Rbd;
import farsight.bindings.rbd.rbd_image_info_t;
import farsight.bindings.rbd.rbd_linked_image_spec_t;
import farsight.bindings.rbd.rbd_snap_info_t;
import farsight.bindings.rbd.rbd_snap_spec_t;
import farsight.sys.Native;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An image that is open to be asked and changed as a whole (rbd_image_t). One thread; calls block. */
final class ImageHandle implements AutoCloseable {
    private static final int ENOENT = 2;
    private static final int ERANGE = 34;
    private static final int ID_LENGTH = 256;

    /** Of the strings that librbd hands out, names are the longest. */
    private static final int LONGEST = 4096;

    /** As {@code rbd info} names them, in its order. */
    private static final Map<Long, String> FEATURES = new LinkedHashMap<>();

    static {
        FEATURES.put(Rbd.RBD_FEATURE_LAYERING(), text(Rbd.RBD_FEATURE_NAME_LAYERING()));
        FEATURES.put(Rbd.RBD_FEATURE_STRIPINGV2(), text(Rbd.RBD_FEATURE_NAME_STRIPINGV2()));
        FEATURES.put(Rbd.RBD_FEATURE_EXCLUSIVE_LOCK(), text(Rbd.RBD_FEATURE_NAME_EXCLUSIVE_LOCK()));
        FEATURES.put(Rbd.RBD_FEATURE_OBJECT_MAP(), text(Rbd.RBD_FEATURE_NAME_OBJECT_MAP()));
        FEATURES.put(Rbd.RBD_FEATURE_FAST_DIFF(), text(Rbd.RBD_FEATURE_NAME_FAST_DIFF()));
        FEATURES.put(Rbd.RBD_FEATURE_DEEP_FLATTEN(), text(Rbd.RBD_FEATURE_NAME_DEEP_FLATTEN()));
        FEATURES.put(Rbd.RBD_FEATURE_JOURNALING(), text(Rbd.RBD_FEATURE_NAME_JOURNALING()));
        FEATURES.put(Rbd.RBD_FEATURE_DATA_POOL(), text(Rbd.RBD_FEATURE_NAME_DATA_POOL()));
        FEATURES.put(Rbd.RBD_FEATURE_OPERATIONS(), text(Rbd.RBD_FEATURE_NAME_OPERATIONS()));
        FEATURES.put(Rbd.RBD_FEATURE_MIGRATING(), text(Rbd.RBD_FEATURE_NAME_MIGRATING()));
        FEATURES.put(Rbd.RBD_FEATURE_NON_PRIMARY(), text(Rbd.RBD_FEATURE_NAME_NON_PRIMARY()));
        FEATURES.put(Rbd.RBD_FEATURE_DIRTY_CACHE(), text(Rbd.RBD_FEATURE_NAME_DIRTY_CACHE()));
    }

    /** A call of librbd's on an image and the name of one of its snapshots. */
    interface SnapshotCall {
        int on(MemorySegment image, MemorySegment name);
    }

    private final ImageSpec spec;
    private final MemorySegment image;

    private ImageHandle(ImageSpec spec, MemorySegment image) {
        this.spec = spec;
        this.image = image;
    }

    /** Opens the image itself, whatever snapshot the spec names. */
    static ImageHandle open(MemorySegment pool, ImageSpec spec, boolean readOnly) throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            MemorySegment name = arena.allocateFrom(spec.image());
            int result = readOnly
                    ? Rbd.rbd_open_read_only(pool, name, out, MemorySegment.NULL)
                    : Rbd.rbd_open(pool, name, out, MemorySegment.NULL);
            RbdError.check(result, "rbd image " + spec);
            return new ImageHandle(spec, out.get(ValueLayout.ADDRESS, 0));
        }
    }

    /** A string of librbd's. */
    static String text(MemorySegment string) {
        return string.address() == 0
                ? ""
                : Native.view(string.address(), LONGEST).getString(0);
    }

    private void check(int result, String what) throws DeviceException {
        RbdError.check(result, "rbd image " + spec + what);
    }

    long size() throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            check(Rbd.rbd_get_size(image, out), ": its size");
            return out.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    void resize(long size) throws DeviceException {
        check(Rbd.rbd_resize(image, size), ": resizing it");
    }

    void onSnapshot(ImageSpec snapshot, SnapshotCall call) throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            RbdError.check(call.on(image, arena.allocateFrom(snapshot.snapshot())), "rbd image " + snapshot);
        }
    }

    ImageInfo info() throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = rbd_image_info_t.allocate(arena);
            check(Rbd.rbd_stat(image, info, info.byteSize()), ": what it is");
            MemorySegment id = arena.allocate(ID_LENGTH);
            check(Rbd.rbd_get_id(image, id, ID_LENGTH), ": its identity");
            MemorySegment features = arena.allocate(ValueLayout.JAVA_LONG);
            check(Rbd.rbd_get_features(image, features), ": its features");
            return new ImageInfo(
                    spec.image(),
                    id.getString(0),
                    rbd_image_info_t.size(info),
                    rbd_image_info_t.num_objs(info),
                    rbd_image_info_t.order(info),
                    snapshots().size(),
                    rbd_image_info_t.block_name_prefix(info).getString(0),
                    features(features.get(ValueLayout.JAVA_LONG, 0)),
                    parent(arena));
        }
    }

    private static List<String> features(long bits) {
        return FEATURES.entrySet().stream()
                .filter(feature -> (bits & feature.getKey()) != 0)
                .map(Map.Entry::getValue)
                .toList();
    }

    private String parent(Arena arena) throws DeviceException {
        MemorySegment parent = rbd_linked_image_spec_t.allocate(arena);
        MemorySegment snapshot = rbd_snap_spec_t.allocate(arena);
        int result = Rbd.rbd_get_parent(image, parent, snapshot);
        if (result == -ENOENT) {
            return "";
        }
        check(result, ": its parent");
        String name = new ImageSpec(
                        text(rbd_linked_image_spec_t.pool_name(parent)),
                        text(rbd_linked_image_spec_t.pool_namespace(parent)),
                        text(rbd_linked_image_spec_t.image_name(parent)),
                        text(rbd_snap_spec_t.name(snapshot)))
                .toString();
        Rbd.rbd_linked_image_spec_cleanup(parent);
        Rbd.rbd_snap_spec_cleanup(snapshot);
        return name;
    }

    List<SnapshotInfo> snapshots() throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment room = arena.allocateFrom(ValueLayout.JAVA_INT, 64);
            MemorySegment list;
            int count;
            do {
                list = rbd_snap_info_t.allocateArray(room.get(ValueLayout.JAVA_INT, 0), arena);
                count = Rbd.rbd_snap_list(image, list, room);
            } while (count == -ERANGE);
            check(count, ": its snapshots");
            List<SnapshotInfo> snapshots = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                snapshots.add(snapshot(rbd_snap_info_t.asSlice(list, i), arena));
            }
            if (count > 0) {
                Rbd.rbd_snap_list_end(list);
            }
            return snapshots;
        }
    }

    private SnapshotInfo snapshot(MemorySegment info, Arena arena) throws DeviceException {
        MemorySegment isProtected = arena.allocate(ValueLayout.JAVA_INT);
        MemorySegment name = rbd_snap_info_t.name(info);
        check(Rbd.rbd_snap_is_protected(image, name, isProtected), ": a snapshot");
        return new SnapshotInfo(
                rbd_snap_info_t.id(info),
                text(name),
                rbd_snap_info_t.size(info),
                isProtected.get(ValueLayout.JAVA_INT, 0) != 0);
    }

    @Override
    public void close() {
        Rbd.rbd_close(image);
    }
}

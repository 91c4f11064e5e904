package farsight.backend.rbd;

import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.bindings.rbd.Rbd;
import farsight.bindings.rbd.rbd_image_spec_t;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Which images of a cluster patterns allow. Pools and namespaces that the user may not look into are left out. Calls block
 * for as long as the cluster takes.
 */
final class ImageListing {
    private static final Logger LOG = System.getLogger(ImageListing.class.getName());

    /** How many are listed at most. */
    static final int MOST = 1000;

    private static final int ERANGE = 34;

    /** In characters, so that with "rbd:" before it a name keeps to the 4096 bytes of the protocol. */
    private static final int LONGEST_NAME = 1024;

    /** Where a pattern's images lie: {@code pool/image} or {@code pool/namespace/image} without the image. */
    private record Place(String pool, String namespace) {
        static List<Place> of(List<String> patterns) {
            return patterns.stream()
                    .map(pattern -> pattern.split("/", -1))
                    .filter(parts -> parts.length == 2 || parts.length == 3)
                    .map(parts -> new Place(parts[0], parts.length == 2 ? "" : parts[1]))
                    .toList();
        }
    }

    private final RadosCluster cluster;
    private final List<String> patterns;
    private final List<Place> places;
    private final List<String> found = new ArrayList<>();
    private boolean any;
    private DeviceException failure;

    /** @param patterns as {@code allow} has them */
    ImageListing(RadosCluster cluster, List<String> patterns) {
        this.cluster = cluster;
        this.patterns = patterns;
        places = Place.of(patterns);
    }

    /**
     * Export specs, {@link #MOST} at most.
     *
     * @throws DeviceException when no place could be looked into, or the cluster does not listen to this client
     */
    List<String> images() throws DeviceException {
        for (String pool : new TreeSet<>(cluster.pools())) {
            for (String namespace : namespaces(pool)) {
                if (found.size() == MOST) {
                    return found;
                }
                look(pool, namespace);
            }
        }
        if (!any && failure != null) {
            throw failure;
        }
        return found;
    }

    private void look(String pool, String namespace) throws DeviceException {
        try {
            images(cluster, pool, namespace).stream()
                    .map(image -> new ImageSpec(pool, namespace, image, ""))
                    .filter(spec -> patterns.stream().anyMatch(spec::matches) && canBeNamed(spec))
                    .limit(MOST - found.size())
                    .forEach(spec -> found.add(spec.toString()));
            any = true;
        } catch (DeviceException e) {
            leaveOut(e);
        }
    }

    /** Other tools give images names that no export can have. */
    private static boolean canBeNamed(ImageSpec spec) {
        String name = spec.toString();
        try {
            return name.length() <= LONGEST_NAME
                    && name.indexOf('\ufffd') < 0
                    && ImageSpec.parse(name).equals(spec);
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** Those of a pool that some pattern names; the empty one is that without a name. */
    private Set<String> namespaces(String pool) throws DeviceException {
        Set<String> wanted = new TreeSet<>();
        List<String> wild = new ArrayList<>();
        for (Place place : places) {
            if (ImageSpec.fits(pool, place.pool())) {
                (place.namespace().indexOf('*') < 0 ? wanted : wild).add(place.namespace());
            }
        }
        if (!wild.isEmpty()) {
            try {
                namespaces(cluster, pool).stream()
                        .filter(each -> wild.stream().anyMatch(pattern -> ImageSpec.fits(each, pattern)))
                        .forEach(wanted::add);
            } catch (DeviceException e) {
                leaveOut(e);
            }
        }
        return wanted;
    }

    private void leaveOut(DeviceException e) throws DeviceException {
        if (e.errno() == Errno.ESHUTDOWN) {
            throw e;
        }
        if (failure == null) {
            failure = e;
        }
        LOG.log(Level.DEBUG, "left out of the list: {0}", e.getMessage());
    }

    private static List<String> namespaces(RadosCluster cluster, String pool) throws DeviceException {
        MemorySegment context = cluster.openPool(pool, "");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_LONG, 4096L);
            while (true) {
                MemorySegment names = arena.allocate(size.get(ValueLayout.JAVA_LONG, 0));
                int result = Rbd.rbd_namespace_list(context, names, size);
                if (result != -ERANGE) {
                    RbdError.check(result, "the namespaces of '" + pool + "'");
                    return RadosCluster.strings(names, size.get(ValueLayout.JAVA_LONG, 0));
                }
            }
        } finally {
            RadosCluster.closePool(context);
        }
    }

    /** The names of all images in one place, in order. */
    static List<String> images(RadosCluster cluster, String pool, String namespace) throws DeviceException {
        MemorySegment context = cluster.openPool(pool, namespace);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocateFrom(ValueLayout.JAVA_LONG, 256L);
            while (true) {
                long room = count.get(ValueLayout.JAVA_LONG, 0);
                MemorySegment images = rbd_image_spec_t.allocateArray(room, arena);
                int result = Rbd.rbd_list2(context, images, count);
                if (result != -ERANGE) {
                    RbdError.check(result, "the images of '" + pool + "'");
                    return names(images, count.get(ValueLayout.JAVA_LONG, 0));
                }
            }
        } finally {
            RadosCluster.closePool(context);
        }
    }

    private static List<String> names(MemorySegment images, long count) {
        List<String> names = new ArrayList<>();
        for (long i = 0; i < count; i++) {
            names.add(ImageHandle.text(rbd_image_spec_t.name(rbd_image_spec_t.asSlice(images, i))));
        }
        Rbd.rbd_image_spec_list_cleanup(images, count);
        names.sort(null);
        return names;
    }
}

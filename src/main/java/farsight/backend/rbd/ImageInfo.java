package farsight.backend.rbd;

import java.util.List;

/**
 * What the cluster knows of an image.
 *
 * @param size bytes
 * @param order the objects it is made of have two to the power of this many bytes
 * @param prefix what the names of those objects begin with
 * @param features as Ceph's tools call them
 * @param parent the snapshot that it is a clone of, as {@code pool/image@snapshot}; empty when it is none
 */
public record ImageInfo(
        String name,
        String id,
        long size,
        long objects,
        int order,
        int snapshots,
        String prefix,
        List<String> features,
        String parent) {
    public long objectSize() {
        return 1L << order;
    }
}

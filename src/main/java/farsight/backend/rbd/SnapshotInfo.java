package farsight.backend.rbd;

/**
 * A snapshot of an image.
 *
 * @param size of the image when it was made, in bytes
 * @param isProtected whether it cannot be removed, as clones may need it
 */
public record SnapshotInfo(long id, String name, long size, boolean isProtected) {}

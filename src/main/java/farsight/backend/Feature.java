package farsight.backend;

import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/** An ability of a storage that the server advertises as a transmission flag (proto.md, "Transmission flags"). */
public enum Feature {
    /** {@code flush} makes all completed writes, of every connection, stable. */
    FLUSH,
    /** A single write can be made stable before it completes; without it the server writes and then flushes. */
    FUA,
    /** {@code trim} is worth calling. */
    TRIM,
    /** {@code zero} is better than writing zeroes; without it the server writes zeroes itself. */
    WRITE_ZEROES,
    /** {@code zero} can tell at once that it would be no faster than writing (proto.md, NBD_CMD_FLAG_FAST_ZERO). */
    FAST_ZERO,
    /** {@code cache} is worth calling. */
    CACHE,
    /** {@code extents} tells holes from data. */
    EXTENTS,
    /** {@code extents} costs so little that the server asks before it reads, and sends no zeroes that are a hole. */
    QUICK_EXTENTS,
    /** {@code extents} tells which layer data comes from, by {@link ExtentSink#extent(long, boolean, boolean, int)}. */
    DEPTH,
    /** The storage is a rotating disk. */
    ROTATIONAL;

    /** The features whose methods a simple device overrides: overriding a method is what advertises it. */
    static Set<Feature> overriddenBy(Class<? extends BlockDevice> type) {
        EnumSet<Feature> features = EnumSet.noneOf(Feature.class);
        addIfOverridden(features, FLUSH, type, "flush");
        addIfOverridden(features, FUA, type, "writeStable", MemorySegment.class, long.class);
        addIfOverridden(features, TRIM, type, "trim", long.class, long.class);
        addIfOverridden(features, WRITE_ZEROES, type, "zero", long.class, long.class, boolean.class);
        addIfOverridden(features, CACHE, type, "cache", long.class, long.class);
        addIfOverridden(features, EXTENTS, type, "extents", long.class, long.class, ExtentSink.class);
        return Collections.unmodifiableSet(features);
    }

    private static void addIfOverridden(
            Set<Feature> features, Feature feature, Class<?> type, String method, Class<?>... parameters) {
        try {
            if (type.getMethod(method, parameters).getDeclaringClass() != BlockDevice.class) {
                features.add(feature);
            }
        } catch (NoSuchMethodException e) {
            throw new AssertionError("BlockDevice has no public method " + method, e);
        }
    }
}

package farsight.backend;

/**
 * Sizes in bytes that a storage wants its requests to keep to (proto.md, "Block size constraints").
 *
 * @param minimum requests are multiples of this and aligned to it; a power of two, 1 to 65536. The server serves smaller
 *     requests of its clients by reading and writing whole blocks.
 * @param preferred the size that is efficient; a power of two, at least {@code minimum} and at least 512
 * @param maximum the largest single request, a multiple of {@code minimum}; the server cuts larger ones
 */
public record BlockSizes(int minimum, int preferred, int maximum) {
    /** Byte granularity, pages preferred, no maximum of the storage's own. */
    public static final BlockSizes ANY = new BlockSizes(1, 4096, 64 << 20);

    public BlockSizes {
        if (Integer.bitCount(minimum) != 1 || minimum < 1 || minimum > 65536) {
            throw new IllegalArgumentException("minimum block size " + minimum + " is not a power of two up to 65536");
        }
        if (Integer.bitCount(preferred) != 1 || preferred < Math.max(512, minimum)) {
            throw new IllegalArgumentException(
                    "preferred block size " + preferred + " is not a power of two from " + Math.max(512, minimum));
        }
        if (maximum < minimum || maximum % minimum != 0) {
            throw new IllegalArgumentException("maximum request " + maximum + " is not a multiple of " + minimum);
        }
    }
}

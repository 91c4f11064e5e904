package farsight.protocol;

/**
 * The one place that says whether a request may be served, and with which error value it is refused otherwise (proto.md,
 * "Request types", "Command flags" and "Error values"). Allocates nothing.
 */
public final class RequestValidator {
    /** Besides NBD_FLAG_*, not on the wire: a metadata context was negotiated, so NBD_CMD_BLOCK_STATUS may come. */
    public static final int BLOCK_STATUS = 1 << 16;

    private RequestValidator() {}

    /**
     * Checks a request against what was negotiated.
     *
     * @param type NBD_CMD_*; NBD_CMD_DISC is not for here, as it has no reply
     * @param flags NBD_CMD_FLAG_*
     * @param offset unsigned
     * @param length 0 to 2^32-1
     * @param transmissionFlags NBD_FLAG_* as advertised
     * @param size bytes of the export
     * @param minimumBlock the power of two that offset and length must be multiples of
     * @return 0 when it may be served, else an error value
     */
    public static int check(
            int type, int flags, long offset, long length, int transmissionFlags, long size, int minimumBlock) {
        int allowed = allowedFlags(type, transmissionFlags);
        if (allowed < 0 || (flags & ~allowed) != 0) {
            return Nbd.NBD_EINVAL;
        }
        if (type == Nbd.NBD_CMD_FLUSH) {
            // "offset and length MUST be zero": there is nothing else that they could mean.
            return offset == 0 && length == 0 ? 0 : Nbd.NBD_EINVAL;
        }
        if (writes(type) && (transmissionFlags & Nbd.NBD_FLAG_READ_ONLY) != 0) {
            return Nbd.NBD_EPERM;
        }
        if ((type == Nbd.NBD_CMD_READ || type == Nbd.NBD_CMD_WRITE) && length > Nbd.MAX_PAYLOAD) {
            // NBD_EOVERFLOW is for requests without payload and for structured reads only.
            return Nbd.NBD_EINVAL;
        }
        if (type == Nbd.NBD_CMD_BLOCK_STATUS && length == 0) {
            return Nbd.NBD_EINVAL;
        }
        // Neither side of the comparison can overflow: size is at least 0 and length below 2^32.
        if (offset < 0 || offset > size || length > size - offset) {
            return type == Nbd.NBD_CMD_WRITE || type == Nbd.NBD_CMD_WRITE_ZEROES ? Nbd.NBD_ENOSPC : Nbd.NBD_EINVAL;
        }
        if (((offset | length) & (minimumBlock - 1)) != 0) {
            return Nbd.NBD_EINVAL;
        }
        return 0;
    }

    /** Whether a command changes the storage. */
    public static boolean writes(int type) {
        return type == Nbd.NBD_CMD_WRITE || type == Nbd.NBD_CMD_TRIM || type == Nbd.NBD_CMD_WRITE_ZEROES;
    }

    /** The flags that a command may carry; -1 when the command itself was not negotiated. */
    private static int allowedFlags(int type, int transmissionFlags) {
        // "the server MUST NOT fail" FUA on any command once it is advertised, even where it has no meaning.
        int fua = (transmissionFlags & Nbd.NBD_FLAG_SEND_FUA) != 0 ? Nbd.NBD_CMD_FLAG_FUA : 0;
        return switch (type) {
            case Nbd.NBD_CMD_READ -> fua | ((transmissionFlags & Nbd.NBD_FLAG_SEND_DF) != 0 ? Nbd.NBD_CMD_FLAG_DF : 0);
            case Nbd.NBD_CMD_WRITE -> fua;
            case Nbd.NBD_CMD_BLOCK_STATUS ->
                (transmissionFlags & BLOCK_STATUS) != 0 ? fua | Nbd.NBD_CMD_FLAG_REQ_ONE : -1;
            case Nbd.NBD_CMD_FLUSH -> (transmissionFlags & Nbd.NBD_FLAG_SEND_FLUSH) != 0 ? fua : -1;
            case Nbd.NBD_CMD_TRIM ->
                (transmissionFlags & (Nbd.NBD_FLAG_SEND_TRIM | Nbd.NBD_FLAG_READ_ONLY)) != 0 ? fua : -1;
            case Nbd.NBD_CMD_WRITE_ZEROES -> writeZeroesFlags(fua, transmissionFlags);
            case Nbd.NBD_CMD_CACHE -> (transmissionFlags & Nbd.NBD_FLAG_SEND_CACHE) != 0 ? fua : -1;
            default -> -1;
        };
    }

    private static int writeZeroesFlags(int fua, int transmissionFlags) {
        if ((transmissionFlags & (Nbd.NBD_FLAG_SEND_WRITE_ZEROES | Nbd.NBD_FLAG_READ_ONLY)) == 0) {
            return -1;
        }
        int fast = (transmissionFlags & Nbd.NBD_FLAG_SEND_FAST_ZERO) != 0 ? Nbd.NBD_CMD_FLAG_FAST_ZERO : 0;
        return fua | fast | Nbd.NBD_CMD_FLAG_NO_HOLE;
    }
}

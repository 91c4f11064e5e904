package farsight.protocol;

/**
 * The one place that says whether a request may be served, and with which error value it is refused otherwise (proto.md,
 * "Request types", "Command flags" and "Error values"). Allocates nothing.
 */
public final class RequestValidator {
    /** Besides NBD_FLAG_*, not on the wire: a metadata context was negotiated, so NBD_CMD_BLOCK_STATUS may come. */
    public static final int BLOCK_STATUS = 1 << 16;

    /** Besides NBD_FLAG_*, not on the wire: extended headers were negotiated. */
    public static final int EXTENDED = 1 << 17;

    private RequestValidator() {}

    /**
     * Checks a request against what was negotiated.
     *
     * @param type NBD_CMD_*; NBD_CMD_DISC is not for here, as it has no reply
     * @param flags NBD_CMD_FLAG_*
     * @param offset unsigned
     * @param length unsigned; of an NBD_CMD_BLOCK_STATUS with payload, what the payload says
     * @param transmissionFlags NBD_FLAG_* as advertised, and the two above
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
        if (lacksPayloadFlag(type, flags, transmissionFlags)) {
            return Nbd.NBD_EINVAL;
        }
        if (type == Nbd.NBD_CMD_FLUSH) {
            // "offset and length MUST be zero": there is nothing else that they could mean.
            return offset == 0 && length == 0 ? 0 : Nbd.NBD_EINVAL;
        }
        if (writes(type) && (transmissionFlags & Nbd.NBD_FLAG_READ_ONLY) != 0) {
            return Nbd.NBD_EPERM;
        }
        if (type == Nbd.NBD_CMD_BLOCK_STATUS && length == 0) {
            return Nbd.NBD_EINVAL;
        }
        // No side of the comparison can overflow: size and what is left of it are at least 0.
        if (offset < 0 || offset > size || length < 0 || length > size - offset) {
            return type == Nbd.NBD_CMD_WRITE || type == Nbd.NBD_CMD_WRITE_ZEROES ? Nbd.NBD_ENOSPC : Nbd.NBD_EINVAL;
        }
        if (((offset | length) & (minimumBlock - 1)) != 0) {
            return Nbd.NBD_EINVAL;
        }
        if (length > Nbd.MAX_PAYLOAD) {
            return tooLong(type, transmissionFlags);
        }
        return 0;
    }

    /** "NBD_EOVERFLOW [...] in response to NBD_CMD_READ when NBD_CMD_FLAG_DF is supported": the client may cut it up. */
    private static int tooLong(int type, int transmissionFlags) {
        return switch (type) {
            case Nbd.NBD_CMD_READ ->
                (transmissionFlags & Nbd.NBD_FLAG_SEND_DF) != 0 ? Nbd.NBD_EOVERFLOW : Nbd.NBD_EINVAL;
            case Nbd.NBD_CMD_WRITE -> Nbd.NBD_EINVAL;
            default -> 0;
        };
    }

    /** Why {@link #check} gave an error value, for people. */
    public static String explain(
            int type, int flags, long offset, long length, int transmissionFlags, long size, int minimumBlock) {
        String command = Nbd.commandName(type);
        int allowed = allowedFlags(type, transmissionFlags);
        if (allowed < 0) {
            return command + " is not known here, or was not offered";
        }
        if ((flags & ~allowed) != 0) {
            return command + " cannot have the flags 0x" + Integer.toHexString(flags & ~allowed) + " here";
        }
        if (lacksPayloadFlag(type, flags, transmissionFlags)) {
            return "NBD_CMD_WRITE needs NBD_CMD_FLAG_PAYLOAD_LEN with extended headers";
        }
        if (type == Nbd.NBD_CMD_FLUSH) {
            return "NBD_CMD_FLUSH takes neither offset nor length";
        }
        if (writes(type) && (transmissionFlags & Nbd.NBD_FLAG_READ_ONLY) != 0) {
            return "the export is read-only";
        }
        if (type == Nbd.NBD_CMD_BLOCK_STATUS && length == 0) {
            return "there is no status of nothing";
        }
        String range = Long.toUnsignedString(length) + " bytes at " + Long.toUnsignedString(offset);
        if (offset < 0 || offset > size || length < 0 || length > size - offset) {
            return range + " reach past the end of the export, which has " + size;
        }
        if (((offset | length) & (minimumBlock - 1)) != 0) {
            return range + " are not multiples of the block size of " + minimumBlock;
        }
        return range + " are more than the " + Nbd.MAX_PAYLOAD + " of a single request";
    }

    /** Bytes that follow the header of a request, whether it is a good one or not; unsigned. */
    public static long payload(int type, int flags, long length, boolean extended) {
        boolean has = extended ? (flags & Nbd.NBD_CMD_FLAG_PAYLOAD_LEN) != 0 : type == Nbd.NBD_CMD_WRITE;
        return has ? length : 0;
    }

    /** "With extended headers, the flag MUST be set for NBD_CMD_WRITE". */
    private static boolean lacksPayloadFlag(int type, int flags, int transmissionFlags) {
        return type == Nbd.NBD_CMD_WRITE
                && (transmissionFlags & EXTENDED) != 0
                && (flags & Nbd.NBD_CMD_FLAG_PAYLOAD_LEN) == 0;
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
            case Nbd.NBD_CMD_WRITE -> fua | ((transmissionFlags & EXTENDED) != 0 ? Nbd.NBD_CMD_FLAG_PAYLOAD_LEN : 0);
            case Nbd.NBD_CMD_BLOCK_STATUS -> blockStatusFlags(fua, transmissionFlags);
            case Nbd.NBD_CMD_FLUSH -> (transmissionFlags & Nbd.NBD_FLAG_SEND_FLUSH) != 0 ? fua : -1;
            case Nbd.NBD_CMD_TRIM ->
                (transmissionFlags & (Nbd.NBD_FLAG_SEND_TRIM | Nbd.NBD_FLAG_READ_ONLY)) != 0 ? fua : -1;
            case Nbd.NBD_CMD_WRITE_ZEROES -> writeZeroesFlags(fua, transmissionFlags);
            case Nbd.NBD_CMD_CACHE -> (transmissionFlags & Nbd.NBD_FLAG_SEND_CACHE) != 0 ? fua : -1;
            default -> -1;
        };
    }

    private static int blockStatusFlags(int fua, int transmissionFlags) {
        if ((transmissionFlags & BLOCK_STATUS) == 0) {
            return -1;
        }
        int payload = (transmissionFlags & Nbd.NBD_FLAG_BLOCK_STATUS_PAYLOAD) != 0 ? Nbd.NBD_CMD_FLAG_PAYLOAD_LEN : 0;
        return fua | payload | Nbd.NBD_CMD_FLAG_REQ_ONE;
    }

    private static int writeZeroesFlags(int fua, int transmissionFlags) {
        if ((transmissionFlags & (Nbd.NBD_FLAG_SEND_WRITE_ZEROES | Nbd.NBD_FLAG_READ_ONLY)) == 0) {
            return -1;
        }
        int fast = (transmissionFlags & Nbd.NBD_FLAG_SEND_FAST_ZERO) != 0 ? Nbd.NBD_CMD_FLAG_FAST_ZERO : 0;
        return fua | fast | Nbd.NBD_CMD_FLAG_NO_HOLE;
    }
}

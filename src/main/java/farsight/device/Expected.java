package farsight.device;

import farsight.client.Negotiated;
import farsight.protocol.Nbd;
import java.util.Optional;

/**
 * What an export has to be for the device to go on with it, after the connection to it was lost.
 *
 * @param export name as the server gave it
 * @param size bytes of the device
 * @param flags NBD_FLAG_* that the kernel was given
 * @param mayGrow whether a larger export is still the same one
 */
record Expected(String export, long size, int flags, int blockSize, boolean mayGrow) {
    /** What the kernel sends because the server said that it may. */
    private static final int USED = Nbd.NBD_FLAG_SEND_FLUSH
            | Nbd.NBD_FLAG_SEND_FUA
            | Nbd.NBD_FLAG_SEND_TRIM
            | Nbd.NBD_FLAG_SEND_WRITE_ZEROES
            | Nbd.NBD_FLAG_CAN_MULTI_CONN;

    /** Why it is not the same export; empty when it is. */
    Optional<String> problem(Negotiated now) {
        if (!now.export().equals(export)) {
            return Optional.of("it is another export, '" + now.export() + "' and not '" + export + "'");
        }
        long bytes = Links.wholeBlocks(now.size(), blockSize);
        if (bytes < size || bytes > size && !mayGrow) {
            return Optional.of("the export has " + now.size() + " bytes and not " + size);
        }
        if (now.readOnly() && (flags & Nbd.NBD_FLAG_READ_ONLY) == 0) {
            return Optional.of("the export is read-only now");
        }
        int lost = flags & USED & ~now.flags();
        if (lost != 0) {
            Negotiated gone = new Negotiated("", 0, lost, "", 1, 1, 1);
            return Optional.of("the export no longer has " + String.join(", ", gone.flagNames()));
        }
        return Optional.empty();
    }

    Expected withSize(long bytes) {
        return new Expected(export, bytes, flags, blockSize, mayGrow);
    }
}

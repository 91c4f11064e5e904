package farsight.server;

import farsight.backend.BlockSizes;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.protocol.ExportRequest;
import farsight.protocol.Nbd;
import farsight.protocol.OptionReplies;

/** What a client is told of an export before transmission, or why it cannot have it (proto.md, NBD_OPT_INFO and NBD_OPT_GO). */
final class ExportInformation {
    static final String BLOCK_SIZE_REQUIRED =
            "ask for NBD_INFO_BLOCK_SIZE and keep to it: smaller blocks cannot be served";

    private static final int DEFAULT_BLOCK = 512;

    private ExportInformation() {}

    /** A client that does not ask keeps to 512 bytes at best (proto.md, "Size constraints"). */
    static boolean needsBlockSizes(Export export) {
        return export.device().blockSizes().minimum() > DEFAULT_BLOCK;
    }

    /** Tells about an export; false when transmission cannot follow. */
    static boolean write(OptionReplies replies, int option, ExportRequest request, Export export, Terms terms) {
        BlockSizes sizes = export.device().blockSizes();
        // Unasked, too: a client that ignores it keeps to 512 bytes, one that reads it is better off.
        replies.infoBlockSize(option, sizes.minimum(), sizes.preferred(), Nbd.MAX_PAYLOAD);
        if (option == Nbd.NBD_OPT_GO && needsBlockSizes(export) && !request.wants(Nbd.NBD_INFO_BLOCK_SIZE)) {
            replies.error(option, Nbd.NBD_REP_ERR_BLOCK_SIZE_REQD, BLOCK_SIZE_REQUIRED);
            return false;
        }
        replies.infoExport(option, export.size(), export.transmissionFlags(terms));
        if (request.wants(Nbd.NBD_INFO_NAME)) {
            replies.infoText(option, Nbd.NBD_INFO_NAME, export.name());
        }
        if (request.wants(Nbd.NBD_INFO_DESCRIPTION) && !export.description().isEmpty()) {
            replies.infoText(option, Nbd.NBD_INFO_DESCRIPTION, export.description());
        }
        replies.ack(option);
        return true;
    }

    /** Which refusal says why storage did not open. */
    static int replyFor(Throwable cause) {
        return switch (cause) {
            case UnknownExportException unknown -> Nbd.NBD_REP_ERR_UNKNOWN;
            case DeviceException e when e.errno() == Errno.EPERM -> Nbd.NBD_REP_ERR_POLICY;
            case DeviceException e when e.errno() == Errno.ESHUTDOWN -> Nbd.NBD_REP_ERR_SHUTDOWN;
            case DeviceException e when e.errno() == Errno.ENOTSUP -> Nbd.NBD_REP_ERR_PLATFORM;
            case DeviceException e when e.errno() == Errno.EOVERFLOW -> Nbd.NBD_REP_ERR_TOO_BIG;
            default -> Nbd.NBD_REP_ERR_UNKNOWN;
        };
    }
}

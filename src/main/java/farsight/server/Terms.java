package farsight.server;

import farsight.protocol.MetaContext;
import farsight.protocol.ReplyStyle;
import java.util.Set;

/**
 * What a handshake has settled for transmission, besides the export.
 *
 * @param contexts metadata that may be asked for; empty forbids NBD_CMD_BLOCK_STATUS
 * @param readOnly whether this client may only read, whatever others may
 */
record Terms(ReplyStyle style, Set<MetaContext> contexts, boolean readOnly) {}

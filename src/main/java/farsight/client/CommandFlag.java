package farsight.client;

import farsight.protocol.Nbd;

/** What a request asks for beyond its command (proto.md, "Command flags"). */
public enum CommandFlag {
    /** Stable before it is answered. For writes, zeroes and trims of servers with NBD_FLAG_SEND_FUA. */
    FUA(Nbd.NBD_CMD_FLAG_FUA),
    /** Zeroes that stay allocated. */
    NO_HOLE(Nbd.NBD_CMD_FLAG_NO_HOLE),
    /** A read that is answered in one piece. For servers with NBD_FLAG_SEND_DF. */
    DF(Nbd.NBD_CMD_FLAG_DF),
    /** Block status of one extent. */
    REQ_ONE(Nbd.NBD_CMD_FLAG_REQ_ONE),
    /** Zeroes that fail at once when they would be as slow as writing them. For servers with NBD_FLAG_SEND_FAST_ZERO. */
    FAST_ZERO(Nbd.NBD_CMD_FLAG_FAST_ZERO);

    private final int bit;

    CommandFlag(int bit) {
        this.bit = bit;
    }

    static int bits(CommandFlag... flags) {
        int bits = 0;
        for (CommandFlag flag : flags) {
            bits |= flag.bit;
        }
        return bits;
    }
}

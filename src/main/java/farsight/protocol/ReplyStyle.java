package farsight.protocol;

/** How a server answers, as the handshake settled it (proto.md, "Transmission"). */
public enum ReplyStyle {
    /** Simple replies and 28-byte requests. */
    SIMPLE,
    /** Chunks for reads, block status and errors (NBD_OPT_STRUCTURED_REPLY). */
    STRUCTURED,
    /** Chunks for everything, and 64-bit lengths both ways (NBD_OPT_EXTENDED_HEADERS). */
    EXTENDED;

    /** Whether replies may come in several chunks. */
    public boolean chunked() {
        return this != SIMPLE;
    }

    /** Whether headers have 64-bit lengths. */
    public boolean extended() {
        return this == EXTENDED;
    }

    /** Bytes of a request's header. */
    public int requestSize() {
        return extended() ? RequestHeader.EXTENDED_SIZE : RequestHeader.SIZE;
    }
}

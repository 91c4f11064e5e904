package farsight.loop;

import farsight.buffer.Buffer;

/** The owner of a {@link Channel}. All calls come from the loop. */
public interface ChannelHandler {
    /**
     * Bytes arrived. They are valid during the call; whoever needs them longer retains the buffer. All of them are
     * taken over by this call.
     *
     * @param buffer the loop's buffer that they lie in
     * @param from offset of the first byte in the buffer
     * @param length how many, at least 1
     */
    void received(Buffer buffer, int from, int length);

    /**
     * The memory that was given with {@link Channel#fill} is full.
     *
     * @param more whether what was received after it comes next, in a call of {@link #received}
     */
    void filled(boolean more);

    /** A send that {@link Channel#send} started has taken all its bytes. */
    void sent();

    /** The turn is over and {@link Channel#touch} was called in it: time to send. */
    void turnOver();

    /** The socket is the caller's again, after {@link Channel#detach}. */
    void detached();

    /**
     * The channel is at its end, or broken; it is closed already. Not called after {@link Channel#close}.
     *
     * @param errno 0 at the end of the stream
     */
    void closed(int errno);
}

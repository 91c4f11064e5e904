package farsight.loop;

import farsight.buffer.Buffer;
import farsight.sys.IoVec;

/**
 * A connected stream socket on a loop. All methods belong to the loop's thread.
 *
 * <p>Received bytes go to {@link ChannelHandler#received} from the loop's own buffers, unless {@link #fill} diverts them.
 */
public interface Channel {

    /**
     * Receives the next {@code length} bytes into memory of the caller, which stays valid until
     * {@link ChannelHandler#filled} or {@link ChannelHandler#closed}.
     */
    void fill(long address, long length);

    /** Stops receiving until {@link #resume}. */
    void pause();

    /** Receives again. */
    void resume();

    /** Asks for {@link ChannelHandler#turnOver} at the end of this turn. */
    void touch();

    /**
     * Sends all of a vector, at once as far as possible and the rest when the socket takes it. The vector and what it
     * points to belong to the channel until {@link ChannelHandler#sent}, which may come before this returns, or
     * {@link ChannelHandler#closed}. One send at a time.
     */
    void send(IoVec pieces);

    /**
     * Lets {@link #sendInPlace} do what it is for, if the system can: for sockets whose peer is on another machine.
     */
    void allowInPlace();

    /** Whether it is worth using {@link #sendInPlace} now. */
    boolean wantsInPlace();

    /**
     * Like {@link #send}, but the system may use what the vector points to after {@link ChannelHandler#sent}: it stays
     * what it is until {@link #release} lets go of its buffers, or for ever.
     */
    void sendInPlace(IoVec pieces);

    /**
     * Lets go of a buffer of the last send, which was one in place: now, or as soon as the system does not use it any
     * more. Also after {@link #close}.
     */
    void release(Buffer buffer);

    /** Whether a send is under way. */
    boolean sending();

    /**
     * Lets go of the socket without closing it, so that another loop can take it over. What was received until then
     * comes first, in calls of {@link ChannelHandler#received}; the last call is {@link ChannelHandler#detached}, which
     * may come before this returns. Not while sending, and not while a {@link #fill} is under way.
     */
    void detach();

    /** Calls another handler from now on. */
    void handler(ChannelHandler handler);

    /** Tells the peer that nothing more is sent; what it sends is still received. Not while sending. */
    void finish();

    /** Closes the socket. Nothing is called afterwards. */
    void close();

    boolean isClosed();

    int fd();
}

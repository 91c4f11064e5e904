package farsight.server;

import farsight.buffer.Buffer;

/** What a connection is at: its handshake, or transmission. Calls come from the channel, on the loop. */
interface Phase {
    /** See {@link farsight.loop.ChannelHandler#received}. */
    void received(Buffer buffer, int from, int length);

    /** See {@link farsight.loop.ChannelHandler#filled}. */
    void filled(boolean more);

    /** See {@link farsight.loop.ChannelHandler#sent}. */
    void sent();

    /** See {@link farsight.loop.ChannelHandler#turnOver}. */
    void turnOver();

    /** The server is stopping: nothing new is begun, and {@link Connection#quiet} is called when nothing is going on. */
    void stop();

    /** The channel is closed: lets go of everything that no device holds, and tells the connection when nothing is left. */
    void closed();
}

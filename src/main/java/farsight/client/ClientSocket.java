package farsight.client;

import farsight.config.NbdUri;
import farsight.sys.SocketAddress;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;

/**
 * A connected, blocking socket to a server. One thread may receive while another sends. Calls wait in the kernel, so
 * they belong on platform threads.
 */
public abstract sealed class ClientSocket implements Transport, AutoCloseable permits ChannelSocket, DescriptorSocket {
    ClientSocket() {}

    /** Decides whether a silent server is a lost one. */
    interface Activity {
        /** Whether the server owes an answer for longer than is acceptable. Any thread. */
        boolean overdue();
    }

    /** Makes one of a kind. */
    interface Kind<T> {
        T connect(SocketAddress address, int millis) throws NbdException;
    }

    /**
     * Connects, in the way that is ready first; every address of a host name is tried in turn. An interrupt of a thread
     * that receives or sends may end the connection.
     *
     * @param timeout for each address
     * @throws NbdException one line that names the server and what to look at
     */
    @SuppressWarnings("exports") // for the program's own use
    public static ClientSocket connect(NbdUri uri, Duration timeout) throws IOException {
        return uri.tls() == null ? first(uri, timeout, ChannelSocket::connect) : DescriptorSocket.connect(uri, timeout);
    }

    /** To the first of the server's addresses that answers. */
    static <T> T first(NbdUri uri, Duration timeout, Kind<T> kind) throws NbdException {
        int millis = Math.clamp(timeout.toMillis(), 1, Integer.MAX_VALUE);
        if (uri.isUnix()) {
            return kind.connect(new SocketAddress.Unix(uri.socket()), millis);
        }
        InetAddress[] addresses;
        try {
            addresses = InetAddress.getAllByName(uri.host());
        } catch (UnknownHostException e) {
            throw new NbdException("cannot find the host '" + uri.host() + "'; check its name and the resolver");
        }
        NbdException last = null;
        for (InetAddress address : addresses) {
            try {
                return kind.connect(new SocketAddress.Tcp(address, uri.port()), millis);
            } catch (NbdException e) {
                last = e;
            }
        }
        throw last;
    }

    // ---- what goes wrong -----------------------------------------------------------------------------------------

    static NbdException unreachable(SocketAddress address, String why) {
        return new NbdException(
                "cannot reach the server at " + address + " (" + why + "); is it running, and is that its address?");
    }

    NbdException closed() {
        return new NbdException(peer() + ": the server closed the connection");
    }

    NbdException silent() {
        return new NbdException(peer() + ": the server does not answer any more");
    }

    NbdException speechless() {
        return new NbdException(peer() + ": the server does not answer; does it speak NBD?");
    }

    NbdException lost(String why) {
        return new NbdException(peer() + ": the connection is lost: " + why);
    }

    // ---- TLS -----------------------------------------------------------------------------------------------------

    /** Whether TLS has to begin before anything is asked for. */
    boolean wantsTls() {
        return false;
    }

    /** Shakes hands: the server has said that it is ready for TLS. */
    void startTls() throws NbdException {
        throw new AssertionError("TLS was not wanted");
    }

    // ---- time ----------------------------------------------------------------------------------------------------

    /** From now on receiving fails when it takes longer than this in all; zero lifts the limit. */
    abstract void limit(Duration time);

    /**
     * From now on a call that moved nothing for that time asks whether the server is overdue, and fails if it is. Not for
     * sockets that the kernel's client takes over.
     */
    abstract void patience(Duration time, Activity judge) throws NbdException;

    // ---- bytes ---------------------------------------------------------------------------------------------------

    /** Receives exactly the segment's size. */
    final void receive(MemorySegment target) throws NbdException {
        receive(target.address(), target.byteSize());
    }

    final void send(MemorySegment source) throws NbdException {
        send(source.address(), source.byteSize());
    }

    /** Sends a header and its payload in one call. */
    abstract void send(long header, long headerLength, long payload, long length) throws NbdException;

    /**
     * Sends a header and then a part of a file.
     *
     * @param position memory of a long, for the system
     * @return bytes of the file that were sent: fewer than {@code length} at its end; 0 or less when none can be sent this
     *     way
     */
    long sendFile(Memory header, int headerLength, int file, MemorySegment position, long offset, long length)
            throws NbdException {
        send(header, 0, headerLength);
        return 0;
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    /** Tells the server that nothing more is sent, where there is a way to. */
    void finish() throws NbdException {}

    /** Ends both directions: a thread that is receiving returns. */
    abstract void shutdown();

    /** Gives the socket back to the system. No thread may be in a call. */
    @Override
    public abstract void close();
}

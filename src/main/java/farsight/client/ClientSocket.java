package farsight.client;

import farsight.config.NbdUri;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.SocketAddress;
import farsight.sys.Sockets;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;

/**
 * A connected, blocking socket to a server. One thread may receive while another sends. Calls wait in the kernel, so
 * they belong on platform threads.
 */
public final class ClientSocket implements AutoCloseable {
    private final int fd;
    private final String peer;
    private final CallState receiving = CallState.forever();
    private final CallState sending = CallState.forever();
    private long deadline;
    private boolean closed;

    private ClientSocket(int fd, String peer) {
        this.fd = fd;
        this.peer = peer;
    }

    /**
     * Connects; every address of a host name is tried in turn.
     *
     * @param timeout for each address
     * @throws NbdException one line that names the server and what to look at
     */
    public static ClientSocket connect(NbdUri uri, Duration timeout) throws IOException {
        int millis = Math.clamp(timeout.toMillis(), 1, Integer.MAX_VALUE);
        if (uri.isUnix()) {
            return connect(new SocketAddress.Unix(uri.socket()), millis);
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
                return connect(new SocketAddress.Tcp(address, uri.port()), millis);
            } catch (NbdException e) {
                last = e;
            }
        }
        throw last;
    }

    private static ClientSocket connect(SocketAddress address, int millis) throws NbdException {
        try {
            return new ClientSocket(Sockets.connect(address, millis), address.toString());
        } catch (ErrnoException e) {
            throw new NbdException("cannot reach the server at " + address + " (" + ErrnoException.describe(e.errno())
                    + "); is it running, and is that its address?");
        }
    }

    /** A socket that is connected already, for tests and relays. */
    static ClientSocket of(int fd) {
        return new ClientSocket(fd, "socket " + fd);
    }

    public int fd() {
        return fd;
    }

    /** The server's address, for messages. */
    public String peer() {
        return peer;
    }

    /** From now on receiving fails when it takes longer than this in all; zero lifts the limit. */
    void limit(Duration time) {
        deadline = time.isZero() ? 0 : System.nanoTime() + time.toNanos();
    }

    /** Receives exactly the segment's size. */
    void receive(MemorySegment target) throws NbdException {
        receive(target.address(), target.byteSize());
    }

    void receive(long address, long length) throws NbdException {
        long done = 0;
        while (done < length) {
            awaitWithinLimit();
            long n = Sockets.receive(receiving, fd, address + done, length - done);
            if (n > 0) {
                done += n;
            } else if (n == 0) {
                throw new NbdException(peer + ": the server closed the connection");
            } else if (n != -Sockets.EINTR && n != -Sockets.EAGAIN) {
                throw new NbdException(peer + ": the connection is lost: " + ErrnoException.describe((int) -n));
            }
        }
    }

    private void awaitWithinLimit() throws NbdException {
        if (deadline == 0) {
            return;
        }
        long millis = (deadline - System.nanoTime()) / 1_000_000;
        try {
            if (millis <= 0 || !Sockets.awaitReadable(fd, (int) Math.min(millis, Integer.MAX_VALUE))) {
                throw new NbdException(peer + ": the server does not answer; does it speak NBD?");
            }
        } catch (ErrnoException e) {
            throw new NbdException(peer + ": " + e.getMessage());
        }
    }

    void send(MemorySegment source) throws NbdException {
        send(source.address(), source.byteSize());
    }

    void send(long address, long length) throws NbdException {
        long done = 0;
        while (done < length) {
            long n = Sockets.send(sending, fd, address + done, length - done);
            if (n >= 0) {
                done += n;
            } else if (n != -Sockets.EINTR) {
                throw new NbdException(peer + ": the connection is lost: " + ErrnoException.describe((int) -n));
            }
        }
    }

    /** Ends both directions: a thread that is receiving returns. */
    void shutdown() {
        Sockets.shutdown(fd);
    }

    /** Gives the descriptor back to the system. No thread may be in a call. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            Sockets.close(fd);
        }
    }
}

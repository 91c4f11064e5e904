package farsight.client;

import farsight.config.NbdUri;
import farsight.config.TlsPlace;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.IoVec;
import farsight.sys.QuickCalls;
import farsight.sys.SocketAddress;
import farsight.tls.TlsClient;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Duration;

/**
 * A connected, blocking socket to a server. One thread may receive while another sends. Calls wait in the kernel, so
 * they belong on platform threads.
 */
public final class ClientSocket implements Transport, AutoCloseable {
    private final int fd;
    private final String peer;
    private final CallState receiving = CallState.forever();
    private final CallState sending = CallState.forever();
    private final IoVec gather = new IoVec(2);
    private int most = Integer.MAX_VALUE;
    private long deadline;
    private volatile Activity activity;
    private boolean closed;

    /** What is asked for before anything else is; null for no TLS. */
    private TlsClient wanted;

    private TlsTransport tls;

    /** The bytes as they are on the wire. */
    private final Transport wire = new Transport() {
        @Override
        public String peer() {
            return peer;
        }

        @Override
        public long receiveSome(long address, long length) throws NbdException {
            return receiveWire(address, length, false);
        }

        @Override
        public void send(long address, long length) throws NbdException {
            sendWire(address, length, false);
        }
    };

    /** Decides whether a silent server is a lost one. */
    interface Activity {
        /** Whether the server owes an answer for longer than is acceptable. */
        boolean overdue();
    }

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
    @SuppressWarnings("exports") // for the program's own use
    public static ClientSocket connect(NbdUri uri, Duration timeout) throws IOException {
        // Files that are wrong are said before anybody is bothered.
        TlsClient tls = uri.tls() == null ? null : tls(uri);
        ClientSocket socket = open(uri, timeout);
        socket.wanted = tls;
        return socket;
    }

    private static TlsClient tls(NbdUri uri) throws IOException {
        TlsPlace place = uri.tls();
        String host = uri.isUnix() ? "localhost" : uri.host();
        return new TlsClient(
                place.certificates() == null ? null : Path.of(place.certificates()),
                place.hostname() == null ? host : place.hostname(),
                place.verify());
    }

    private static ClientSocket open(NbdUri uri, Duration timeout) throws IOException {
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
            return new ClientSocket(QuickCalls.connect(address, millis), address.toString());
        } catch (ErrnoException e) {
            throw new NbdException("cannot reach the server at " + address + " (" + ErrnoException.describe(e.errno())
                    + "); is it running, and is that its address?");
        }
    }

    /** A socket that is connected already, which receives at most so many bytes at once. */
    static ClientSocket of(int fd, int most) {
        ClientSocket socket = new ClientSocket(fd, "socket " + fd);
        socket.most = most;
        return socket;
    }

    /** Whether TLS has to begin before anything is asked for. */
    boolean wantsTls() {
        return wanted != null && tls == null;
    }

    /** Shakes hands: the server has said that it is ready for TLS. */
    void startTls() throws NbdException {
        tls = new TlsTransport(wire, wanted.engine());
    }

    public int fd() {
        return fd;
    }

    @Override
    public String peer() {
        return peer;
    }

    /** From now on receiving fails when it takes longer than this in all; zero lifts the limit. */
    void limit(Duration time) {
        deadline = time.isZero() ? 0 : System.nanoTime() + time.toNanos();
    }

    /**
     * From now on a call that moved nothing for that time asks whether the server is overdue, and fails if it is. Not for
     * sockets that the kernel's client takes over.
     */
    void patience(Duration time, Activity judge) throws NbdException {
        try {
            QuickCalls.patience(fd, Math.max(1, time.toMillis()));
        } catch (ErrnoException e) {
            throw new NbdException(peer + ": " + e.getMessage());
        }
        activity = judge;
    }

    /** Receives exactly the segment's size. */
    void receive(MemorySegment target) throws NbdException {
        receive(target.address(), target.byteSize());
    }

    @Override
    public long receiveSome(long address, long length) throws NbdException {
        return tls == null ? receiveWire(address, length, false) : tls.receiveSome(address, length);
    }

    @Override
    public void receive(long address, long length) throws NbdException {
        for (long done = 0; done < length; ) {
            long part = length - done;
            done += tls == null ? receiveWire(address + done, part, true) : tls.receiveSome(address + done, part);
        }
    }

    @Override
    @SuppressWarnings("exports") // as is the interface
    public long receiveSome(SocketPipe pipe, long length) throws NbdException {
        if (tls != null || deadline != 0) {
            pipe.giveUp();
            return 0;
        }
        while (true) {
            long n = pipe.receive(fd, Math.min(most, length));
            if (n > 0) {
                return n;
            }
            if (n == 0) {
                throw closed();
            }
            if (n == -QuickCalls.EINVAL || n == -QuickCalls.ENOSYS || n == -QuickCalls.EPERM) {
                pipe.giveUp();
                return 0;
            }
            retry(n);
        }
    }

    /** @param all whether to wait for all of it; less may come all the same */
    private long receiveWire(long address, long length, boolean all) throws NbdException {
        while (true) {
            awaitWithinLimit();
            // A limit is kept between calls, so that no call may wait then.
            long n = QuickCalls.receive(receiving, fd, address, Math.min(most, length), all && deadline == 0);
            if (n > 0) {
                return n;
            }
            if (n == 0) {
                throw closed();
            }
            retry(n);
        }
    }

    private NbdException closed() {
        return new NbdException(peer + ": the server closed the connection");
    }

    private void retry(long failure) throws NbdException {
        if (failure == -QuickCalls.EAGAIN) {
            Activity judge = activity;
            if (judge != null && judge.overdue()) {
                throw new NbdException(peer + ": the server does not answer any more");
            }
        } else if (failure == -QuickCalls.ECONNRESET || failure == -QuickCalls.EPIPE) {
            throw closed();
        } else if (failure != -QuickCalls.EINTR) {
            throw new NbdException(peer + ": the connection is lost: " + ErrnoException.describe((int) -failure));
        }
    }

    private void awaitWithinLimit() throws NbdException {
        if (deadline == 0) {
            return;
        }
        long millis = (deadline - System.nanoTime()) / 1_000_000;
        try {
            if (millis <= 0 || !QuickCalls.awaitReadable(receiving, fd, (int) Math.min(millis, Integer.MAX_VALUE))) {
                throw new NbdException(peer + ": the server does not answer; does it speak NBD?");
            }
        } catch (ErrnoException e) {
            throw new NbdException(peer + ": " + e.getMessage());
        }
    }

    void send(MemorySegment source) throws NbdException {
        send(source.address(), source.byteSize());
    }

    @Override
    public void send(long address, long length) throws NbdException {
        send(address, length, false);
    }

    private void send(long address, long length, boolean more) throws NbdException {
        if (tls != null) {
            tls.send(address, length);
        } else {
            sendWire(address, length, more);
        }
    }

    private void sendWire(long address, long length, boolean more) throws NbdException {
        for (long done = 0; done < length; ) {
            long n = QuickCalls.send(sending, fd, address + done, length - done, more);
            if (n >= 0) {
                done += n;
            } else {
                retry(n);
            }
        }
    }

    /** Sends a header and its payload in one call. */
    void send(long header, long headerLength, long payload, long length) throws NbdException {
        gather.clear();
        gather.add(header, headerLength);
        if (length > 0) {
            gather.add(payload, length);
        }
        if (tls != null) {
            tls.send(gather);
        }
        while (!gather.isEmpty()) {
            long n = QuickCalls.send(sending, fd, gather);
            if (n >= 0) {
                gather.advance(n);
            } else {
                retry(n);
            }
        }
    }

    /**
     * Sends a header and then a part of a file.
     *
     * @param position memory of a long, for the system
     * @return bytes of the file that were sent: fewer than {@code length} at its end; -errno when none can be sent this way
     */
    long sendFile(long header, long headerLength, int file, MemorySegment position, long offset, long length)
            throws NbdException {
        send(header, headerLength, true);
        if (tls != null) {
            return -QuickCalls.EINVAL; // the kernel would send it as it is
        }
        position.set(ValueLayout.JAVA_LONG, 0, offset);
        for (long done = 0; done < length; ) {
            long n = QuickCalls.sendFile(sending, fd, file, position, length - done);
            if (n > 0) {
                done += n;
            } else if (n == 0) {
                return done;
            } else if (n == -QuickCalls.EINVAL
                    || n == -QuickCalls.EIO
                    || n == -QuickCalls.ENOSYS
                    || n == -QuickCalls.EOVERFLOW) {
                return done == 0 ? n : done;
            } else {
                retry(n);
            }
        }
        return length;
    }

    /** What encrypts for this socket; null when nothing does. */
    TlsTransport tls() {
        return tls;
    }

    /** Tells the server that nothing more is sent, where there is a way to. */
    void finish() throws NbdException {
        if (tls != null) {
            tls.finish();
        }
    }

    /** Ends both directions: a thread that is receiving returns. */
    void shutdown() {
        QuickCalls.shutdown(fd);
    }

    /** Gives the descriptor back to the system. No thread may be in a call. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            QuickCalls.close(fd);
            gather.close();
            if (tls != null) {
                tls.close();
            }
        }
    }
}

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
import java.nio.file.Path;
import java.time.Duration;

/**
 * A socket by native calls, with a descriptor: the kernel's client can take it over, files are sent from and received to
 * without passing through this process, and TLS may be spoken.
 */
public final class DescriptorSocket extends ClientSocket {
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

    private DescriptorSocket(int fd, String peer) {
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
    public static DescriptorSocket connect(NbdUri uri, Duration timeout) throws IOException {
        // Files that are wrong are said before anybody is bothered.
        TlsClient tls = uri.tls() == null ? null : tls(uri);
        DescriptorSocket socket = first(uri, timeout, DescriptorSocket::connect);
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

    /** @param millis how long it may take */
    static DescriptorSocket connect(SocketAddress address, int millis) throws NbdException {
        try {
            return new DescriptorSocket(QuickCalls.connect(address, millis), address.toString());
        } catch (ErrnoException e) {
            throw unreachable(address, ErrnoException.describe(e.errno()));
        }
    }

    /** A socket that is connected already, which receives at most so many bytes at once. */
    static DescriptorSocket of(int fd, int most) {
        DescriptorSocket socket = new DescriptorSocket(fd, "socket " + fd);
        socket.most = most;
        return socket;
    }

    @Override
    boolean wantsTls() {
        return wanted != null && tls == null;
    }

    @Override
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

    @Override
    void limit(Duration time) {
        deadline = time.isZero() ? 0 : System.nanoTime() + time.toNanos();
    }

    @Override
    void patience(Duration time, Activity judge) throws NbdException {
        try {
            QuickCalls.patience(fd, Math.max(1, time.toMillis()));
        } catch (ErrnoException e) {
            throw new NbdException(peer + ": " + e.getMessage());
        }
        activity = judge;
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

    private void retry(long failure) throws NbdException {
        if (failure == -QuickCalls.EAGAIN) {
            Activity judge = activity;
            if (judge != null && judge.overdue()) {
                throw silent();
            }
        } else if (failure == -QuickCalls.ECONNRESET || failure == -QuickCalls.EPIPE) {
            throw closed();
        } else if (failure != -QuickCalls.EINTR) {
            throw lost(ErrnoException.describe((int) -failure));
        }
    }

    private void awaitWithinLimit() throws NbdException {
        if (deadline == 0) {
            return;
        }
        long millis = (deadline - System.nanoTime()) / 1_000_000;
        try {
            if (millis <= 0 || !QuickCalls.awaitReadable(receiving, fd, (int) Math.min(millis, Integer.MAX_VALUE))) {
                throw speechless();
            }
        } catch (ErrnoException e) {
            throw new NbdException(peer + ": " + e.getMessage());
        }
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

    @Override
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

    @Override
    long sendFile(Memory header, int headerLength, int file, MemorySegment position, long offset, long length)
            throws NbdException {
        send(header.address(), headerLength, true);
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

    @Override
    void finish() throws NbdException {
        if (tls != null) {
            tls.finish();
        }
    }

    @Override
    void shutdown() {
        QuickCalls.shutdown(fd);
    }

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

package farsight.client;

import farsight.sys.SocketAddress;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.net.Inet4Address;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.time.Duration;

/**
 * A socket of the JDK's own: programs that end within a second are through before native calls would be linked. Its calls
 * have no timeout, so a {@link Watch} ends those that wait too long.
 */
final class ChannelSocket extends ClientSocket implements Watch.Watched {
    private final SocketChannel channel;
    private final String peer;
    private final Views received = new Views();
    private final Views sent = new Views();
    private final Views payloads = new Views();
    private final ByteBuffer[] gather = new ByteBuffer[2];

    /** When a byte moved last, in either direction. */
    private volatile long moved = System.nanoTime();

    private volatile long deadline;
    private volatile long patience;
    private volatile Activity activity;
    private volatile NbdException ended;

    private ChannelSocket(SocketChannel channel, String peer) {
        this.channel = channel;
        this.peer = peer;
    }

    /** @param millis how long it may take */
    static ClientSocket connect(SocketAddress address, int millis) throws NbdException {
        ChannelSocket socket = null;
        try {
            socket = new ChannelSocket(open(address), address.toString());
            socket.connect(address, Duration.ofMillis(millis));
            return socket;
        } catch (IOException | IllegalArgumentException e) {
            if (socket != null) {
                socket.close();
                if (socket.ended != null) {
                    throw unreachable(address, "it did not answer for " + millis + " ms");
                }
            }
            String why = usual(e.getMessage());
            if (why != null) {
                throw unreachable(address, why);
            }
            return DescriptorSocket.connect(address, millis); // which says what is wrong as the system does
        }
    }

    /** The system's words for what mostly keeps people from connecting; null for all else. */
    private static String usual(String message) {
        return "Connection refused".equals(message)
                ? "Connection refused (ECONNREFUSED)"
                : "No such file or directory".equals(message) ? "No such file or directory (ENOENT)" : null;
    }

    private static SocketChannel open(SocketAddress address) throws IOException {
        if (address instanceof SocketAddress.Tcp tcp) {
            return SocketChannel.open(
                    tcp.address() instanceof Inet4Address ? StandardProtocolFamily.INET : StandardProtocolFamily.INET6);
        }
        return SocketChannel.open(StandardProtocolFamily.UNIX);
    }

    private void connect(SocketAddress address, Duration timeout) throws IOException {
        limit(timeout);
        if (address instanceof SocketAddress.Tcp tcp) {
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            channel.connect(new InetSocketAddress(tcp.address(), tcp.port()));
        } else {
            channel.connect(UnixDomainSocketAddress.of(((SocketAddress.Unix) address).path()));
        }
        limit(Duration.ZERO);
    }

    @Override
    public String peer() {
        return peer;
    }

    // ---- time ----------------------------------------------------------------------------------------------------

    @Override
    void limit(Duration time) {
        deadline = time.isZero() ? 0 : System.nanoTime() + time.toNanos();
        if (deadline != 0) {
            Watch.over(this);
        }
    }

    @Override
    void patience(Duration time, Activity judge) {
        patience = Math.max(1, time.toNanos());
        activity = judge;
        Watch.over(this);
    }

    @Override
    public long look(long now) {
        long next = Long.MAX_VALUE;
        long until = deadline;
        if (until != 0) {
            next = until - now;
            if (next <= 0) {
                end(speechless());
            }
        }
        Activity judge = activity;
        if (judge != null) {
            long quiet = now - moved;
            if (quiet >= patience && judge.overdue()) {
                end(silent());
            }
            next = Math.min(next, quiet < patience ? patience - quiet : patience);
        }
        return channel.isOpen() ? next : -1;
    }

    /** Calls that are under way fail with that. */
    private void end(NbdException why) {
        ended = why;
        shutdown();
    }

    // ---- bytes ---------------------------------------------------------------------------------------------------

    @Override
    public Arena arena() {
        return null;
    }

    /** Nothing that this program does lasts for long, so that it need not be given back. */
    @Override
    @SuppressWarnings("exports") // as is the interface
    public Memory allocate(Arena arena, int size) {
        return Memory.collected(size);
    }

    @Override
    public long receiveSome(long address, long length) throws NbdException {
        return receive(received.of(address, length));
    }

    @Override
    @SuppressWarnings("exports") // as is the interface
    public int receiveSome(Memory memory, int at, int length) throws NbdException {
        return receive(memory.part(at, length));
    }

    @Override
    @SuppressWarnings("exports") // as is the interface
    public void receive(Memory memory, int at, int length) throws NbdException {
        ByteBuffer bytes = memory.part(at, length);
        while (bytes.hasRemaining()) {
            receive(bytes);
        }
    }

    /** At least one byte. */
    private int receive(ByteBuffer bytes) throws NbdException {
        try {
            int n = channel.read(bytes);
            if (n < 0) {
                throw closed();
            }
            moved = System.nanoTime();
            return n;
        } catch (IOException e) {
            throw failed(e);
        }
    }

    @Override
    public void send(long address, long length) throws NbdException {
        send(sent.of(address, length));
    }

    @Override
    @SuppressWarnings("exports") // as is the interface
    public void send(Memory memory, int at, int length) throws NbdException {
        send(memory.part(at, length));
    }

    private void send(ByteBuffer bytes) throws NbdException {
        try {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
                moved = System.nanoTime();
            }
        } catch (IOException e) {
            throw failed(e);
        }
    }

    @Override
    void send(long header, long headerLength, long payload, long length) throws NbdException {
        try {
            gather[0] = sent.of(header, headerLength);
            gather[1] = payloads.of(payload, length);
            while (gather[0].hasRemaining() || gather[1].hasRemaining()) {
                channel.write(gather);
                moved = System.nanoTime();
            }
        } catch (IOException e) {
            throw failed(e);
        }
    }

    private NbdException failed(IOException e) {
        if (e instanceof NbdException own) {
            return own;
        }
        NbdException why = ended;
        if (why != null) {
            return why;
        }
        if (e instanceof ClosedByInterruptException) {
            return new NbdException(peer + ": interrupted");
        }
        String text = e.getMessage();
        return e instanceof ClosedChannelException
                        || text != null && (text.startsWith("Connection reset") || text.equals("Broken pipe"))
                ? closed()
                : lost(text);
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    @Override
    void shutdown() {
        try {
            channel.close(); // which others may wait in
        } catch (IOException e) {
            // It is gone all the same.
        }
    }

    @Override
    public void close() {
        Watch.leave(this);
        shutdown();
    }
}

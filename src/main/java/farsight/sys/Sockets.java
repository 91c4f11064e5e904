package farsight.sys;

import static farsight.sys.ErrnoException.check;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.pollfd;
import farsight.bindings.linux.sockaddr;
import farsight.bindings.linux.ucred;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashSet;
import java.util.Set;

/** Stream sockets, TCP and unix, by their descriptors (socket(2), tcp(7), unix(7)). */
public final class Sockets {
    /** What a call that does not wait returns when it would have to. */
    public static final int EAGAIN = Linux.EAGAIN();

    public static final int EINTR = Linux.EINTR();
    public static final int EMFILE = Linux.EMFILE();
    public static final int ENFILE = Linux.ENFILE();
    public static final int ENOBUFS = Linux.ENOBUFS();
    public static final int ENOMEM = Linux.ENOMEM();
    public static final int ECONNABORTED = Linux.ECONNABORTED();
    public static final int ECONNREFUSED = Linux.ECONNREFUSED();

    private static final Call SOCKET = Native.call("socket", 3);
    private static final Call SOCKETPAIR = Native.call("socketpair", 4);
    private static final Call BIND = Native.call("bind", 3);
    private static final Call LISTEN = Native.call("listen", 2);
    private static final Call ACCEPT4 = Native.call("accept4", 4);
    private static final Call CONNECT = Native.call("connect", 3);
    private static final Call SHUTDOWN = Native.call("shutdown", 2);
    private static final Call GETSOCKOPT = Native.call("getsockopt", 5);
    private static final Call SETSOCKOPT = Native.call("setsockopt", 5);
    private static final Call GETSOCKNAME = Native.call("getsockname", 3);
    private static final Call GETPEERNAME = Native.call("getpeername", 3);
    private static final Call RECV = Native.call("recv", 4);
    private static final Call SEND = Native.call("send", 4);
    private static final Call READV = Native.call("readv", 3);
    private static final Call SENDMSG = Native.call("sendmsg", 3);
    private static final Call POLL = Native.call("poll", 3);
    private static final Call FCNTL = Native.call("fcntl", 2);
    private static final Call FCNTL_INT = Native.call("fcntl", 3);

    /** asm-generic/socket.h; the headers of older systems do not have it, their kernels do (4.13). */
    private static final int SO_PEERGROUPS = 59;

    /** The kernel's limit (NGROUPS_MAX). */
    private static final int MOST_GROUPS = 65536;

    private static final int QUIET = Linux.MSG_NOSIGNAL();

    private Sockets() {}

    // ---- data path: no allocation, -errno on failure -------------------------------------------------------------

    /** Receives what is there. Bytes, 0 at the end of the stream, or {@code -errno}. */
    public static long receive(CallState state, int fd, long address, long length) {
        try {
            return state.check(RECV.invoke(state, fd, address, length, 0));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Receives what is there into the unused pieces of a vector. Does not advance it. */
    public static long receive(CallState state, int fd, IoVec into) {
        try {
            return state.check(READV.invoke(state, fd, into.address(), into.count()));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Sends from one piece of memory. Bytes, maybe fewer than asked, or {@code -errno}. */
    public static long send(CallState state, int fd, long address, long length) {
        try {
            return state.check(SEND.invoke(state, fd, address, length, QUIET));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Sends the unused pieces of a vector in one call. Does not advance it. */
    public static long send(CallState state, int fd, IoVec from) {
        try {
            return state.check(SENDMSG.invoke(state, fd, from.message(), QUIET));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /**
     * Like {@link #send(CallState, int, IoVec)}, but without a copy: the memory is in use until {@link ErrorQueue} tells.
     * -ENOBUFS when there are too many such sends; the socket must have {@link #zeroCopy}.
     */
    public static long sendInPlace(CallState state, int fd, IoVec from) {
        try {
            return state.check(SENDMSG.invoke(state, fd, from.message(), QUIET | Linux.MSG_ZEROCOPY()));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    // ---- set-up --------------------------------------------------------------------------------------------------

    /** A blocking stream socket of the address's family, closed on exec. */
    public static int open(int family) throws ErrnoException {
        try (CallState state = CallState.open()) {
            int type = Linux.SOCK_STREAM() | Linux.SOCK_CLOEXEC();
            return check("socket", state.check((int) SOCKET.invoke(state, family, type, 0)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Two connected unix sockets. */
    public static int[] pair() throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment two = arena.allocate(ValueLayout.JAVA_INT, 2);
            int type = Linux.SOCK_STREAM() | Linux.SOCK_CLOEXEC();
            int family = Linux.AF_UNIX();
            check("socketpair", state.check((int) SOCKETPAIR.invoke(state, family, type, 0, two.address())));
            return two.toArray(ValueLayout.JAVA_INT);
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** A non-blocking socket that listens. For "::" it takes IPv4 as well (dual stack). */
    public static int listen(SocketAddress address, int backlog) throws ErrnoException {
        int fd = open(address.family());
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            if (address instanceof SocketAddress.Tcp tcp) {
                option(fd, Linux.SOL_SOCKET(), Linux.SO_REUSEADDR(), 1);
                if (address.family() == Linux.AF_INET6()) {
                    option(
                            fd,
                            Linux.IPPROTO_IPV6(),
                            Linux.IPV6_V6ONLY(),
                            tcp.address().isAnyLocalAddress() ? 0 : 1);
                }
            }
            MemorySegment encoded = address.encode(arena);
            int length = (int) encoded.byteSize();
            check("bind " + address, state.check((int) BIND.invoke(state, fd, encoded.address(), length)));
            check("listen on " + address, state.check((int) LISTEN.invoke(state, fd, backlog)));
            nonBlocking(fd, true);
            return fd;
        } catch (ErrnoException e) {
            Process.close(fd);
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Accepts one connection, non-blocking. The descriptor, or {@code -errno}. */
    public static int accept(CallState state, int fd) {
        int flags = Linux.SOCK_NONBLOCK() | Linux.SOCK_CLOEXEC();
        try {
            return state.check((int) ACCEPT4.invoke(state, fd, 0L, 0L, flags));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /**
     * A blocking socket connected to an address.
     *
     * @param timeoutMillis how long to wait for the connection; 0 waits as long as the system does
     */
    public static int connect(SocketAddress address, int timeoutMillis) throws ErrnoException {
        int fd = open(address.family());
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            nonBlocking(fd, timeoutMillis > 0);
            MemorySegment encoded = address.encode(arena);
            int length = (int) encoded.byteSize();
            int result = state.check((int) CONNECT.invoke(state, fd, encoded.address(), length));
            if (result == -Linux.EINPROGRESS()) {
                result = await(fd, Linux.POLLOUT(), timeoutMillis)
                        ? -getOption(fd, Linux.SOL_SOCKET(), Linux.SO_ERROR())
                        : -Linux.ETIMEDOUT();
            }
            check("connect to " + address, result);
            nonBlocking(fd, false);
            if (address instanceof SocketAddress.Tcp) {
                noDelay(fd);
            }
            return fd;
        } catch (ErrnoException e) {
            Process.close(fd);
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Waits until a descriptor is readable, at its end, or broken; false after the timeout (-1 waits for ever). */
    public static boolean awaitReadable(int fd, int timeoutMillis) throws ErrnoException {
        return await(fd, Linux.POLLIN(), timeoutMillis);
    }

    private static boolean await(int fd, int events, int timeoutMillis) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment poll = arena.allocate(pollfd.layout());
            pollfd.fd(poll, fd);
            pollfd.events(poll, (short) events);
            int result;
            do {
                result = state.check((int) POLL.invoke(state, poll.address(), 1L, timeoutMillis));
            } while (result == -EINTR);
            return check("poll", result) > 0;
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Sends small segments at once (TCP_NODELAY): replies are batched here, not by the kernel. */
    public static void noDelay(int fd) throws ErrnoException {
        option(fd, Linux.IPPROTO_TCP(), Linux.TCP_NODELAY(), 1);
    }

    /** Notices a peer that is gone without a word: after {@code idle} + {@code count} x {@code interval} seconds. */
    public static void keepAlive(int fd, int idle, int interval, int count) throws ErrnoException {
        option(fd, Linux.SOL_SOCKET(), Linux.SO_KEEPALIVE(), 1);
        option(fd, Linux.IPPROTO_TCP(), Linux.TCP_KEEPIDLE(), idle);
        option(fd, Linux.IPPROTO_TCP(), Linux.TCP_KEEPINTVL(), interval);
        option(fd, Linux.IPPROTO_TCP(), Linux.TCP_KEEPCNT(), count);
    }

    /** Gives a connection up whose data is not acknowledged for so long (TCP_USER_TIMEOUT, tcp(7)). */
    public static void userTimeout(int fd, int millis) throws ErrnoException {
        option(fd, Linux.IPPROTO_TCP(), Linux.TCP_USER_TIMEOUT(), millis);
    }

    /** Whether sending gives up after a time (SO_SNDTIMEO). */
    public static boolean hasSendTimeout(int fd) throws ErrnoException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment time = arena.allocate(ValueLayout.JAVA_LONG, 2); // struct timeval
            getOption(fd, Linux.SOL_SOCKET(), Linux.SO_SNDTIMEO(), time);
            return time.getAtIndex(ValueLayout.JAVA_LONG, 0) != 0 || time.getAtIndex(ValueLayout.JAVA_LONG, 1) != 0;
        }
    }

    /** Lets sending wait for ever. */
    public static void noSendTimeout(int fd) throws ErrnoException {
        try (Arena arena = Arena.ofConfined()) {
            option(fd, Linux.SOL_SOCKET(), Linux.SO_SNDTIMEO(), arena.allocate(ValueLayout.JAVA_LONG, 2));
        }
    }

    /** Asks for socket buffers of that many bytes; the kernel gives at most net.core.wmem_max and rmem_max. */
    public static void bufferSizes(int fd, int bytes) throws ErrnoException {
        option(fd, Linux.SOL_SOCKET(), Linux.SO_SNDBUF(), bytes);
        option(fd, Linux.SOL_SOCKET(), Linux.SO_RCVBUF(), bytes);
    }

    /** Allows sends without a copy (SO_ZEROCOPY); of TCP sockets, since Linux 4.14. */
    public static void zeroCopy(int fd) throws ErrnoException {
        option(fd, Linux.SOL_SOCKET(), Linux.SO_ZEROCOPY(), 1);
    }

    private static void option(int fd, int level, int name, int value) throws ErrnoException {
        try (Arena arena = Arena.ofConfined()) {
            option(fd, level, name, arena.allocateFrom(ValueLayout.JAVA_INT, value));
        }
    }

    private static void option(int fd, int level, int name, MemorySegment content) throws ErrnoException {
        try (CallState state = CallState.open()) {
            long at = content.address();
            int length = (int) content.byteSize();
            check("setsockopt", state.check((int) SETSOCKOPT.invoke(state, fd, level, name, at, length)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Whether a descriptor is a socket. */
    public static boolean isSocket(int fd) {
        try {
            getOption(fd, Linux.SOL_SOCKET(), Linux.SO_TYPE());
            return true;
        } catch (ErrnoException e) {
            return false;
        }
    }

    /** Whether a socket listens, so that it gives connections and is none itself (SO_ACCEPTCONN). */
    public static boolean listens(int fd) throws ErrnoException {
        return getOption(fd, Linux.SOL_SOCKET(), Linux.SO_ACCEPTCONN()) != 0;
    }

    private static int getOption(int fd, int level, int name) throws ErrnoException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment content = arena.allocate(ValueLayout.JAVA_INT);
            getOption(fd, level, name, content);
            return content.get(ValueLayout.JAVA_INT, 0);
        }
    }

    private static void getOption(int fd, int level, int name, MemorySegment content) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            long length = arena.allocateFrom(ValueLayout.JAVA_INT, (int) content.byteSize())
                    .address();
            long at = content.address();
            check("getsockopt", state.check((int) GETSOCKOPT.invoke(state, fd, level, name, at, length)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Who is at the other end of a unix socket (SO_PEERCRED). */
    public record Peer(int pid, int user, int group) {}

    public static Peer peer(int fd) throws ErrnoException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment content = arena.allocate(ucred.layout());
            getOption(fd, Linux.SOL_SOCKET(), Linux.SO_PEERCRED(), content);
            return new Peer(ucred.pid(content), ucred.uid(content), ucred.gid(content));
        }
    }

    /** The groups of the process at the other end of a unix socket, its own and further ones, when it connected. */
    public static Set<Integer> peerGroups(int fd) throws ErrnoException {
        Set<Integer> groups = new HashSet<>(Set.of(peer(fd).group()));
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment content = arena.allocate(ValueLayout.JAVA_INT, MOST_GROUPS);
            MemorySegment length = arena.allocateFrom(ValueLayout.JAVA_INT, (int) content.byteSize());
            check("getsockopt", state.check((int) GETSOCKOPT.invoke(
                    state, fd, Linux.SOL_SOCKET(), SO_PEERGROUPS, content.address(), length.address())));
            for (long i = 0; i < length.get(ValueLayout.JAVA_INT, 0) / Integer.BYTES; i++) {
                groups.add(content.getAtIndex(ValueLayout.JAVA_INT, i));
            }
            return groups;
        }
    }

    public static void nonBlocking(int fd, boolean on) throws ErrnoException {
        try (CallState state = CallState.open()) {
            int old = check("fcntl", state.check((int) FCNTL.invoke(state, fd, Linux.F_GETFL())));
            int flags = on ? old | Linux.O_NONBLOCK() : old & ~Linux.O_NONBLOCK();
            setFlags(fd, flags);
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    private static void setFlags(int fd, int flags) throws ErrnoException {
        try (CallState state = CallState.open()) {
            check("fcntl", state.check((int) FCNTL_INT.invoke(state, fd, Linux.F_SETFL(), flags)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Ends both directions; a thread that waits in a call on this socket returns. */
    public static void shutdown(int fd) {
        try (CallState state = CallState.open()) {
            int ignored = (int) SHUTDOWN.invoke(state, fd, Linux.SHUT_RDWR());
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Drops what waits to be sent, and tells the peer that the connection is broken. The socket stays open. */
    public static void disconnect(int fd) {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment nobody = arena.allocate(sockaddr.layout());
            sockaddr.sa_family(nobody, (short) Linux.AF_UNSPEC());
            int length = (int) nobody.byteSize();
            int ignored = (int) CONNECT.invoke(state, fd, nobody.address(), length);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Says that nothing more will be sent; the other side sees the end after all that was. */
    public static void shutdownSending(int fd) {
        try (CallState state = CallState.open()) {
            int ignored = (int) SHUTDOWN.invoke(state, fd, Linux.SHUT_WR());
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** The address of this end. */
    public static SocketAddress local(int fd) throws ErrnoException {
        return name("getsockname", GETSOCKNAME, fd);
    }

    /** The address of the other end. */
    public static SocketAddress remote(int fd) throws ErrnoException {
        return name("getpeername", GETPEERNAME, fd);
    }

    private static SocketAddress name(String name, Call call, int fd) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment storage = SocketAddress.storage(arena);
            MemorySegment length = arena.allocateFrom(ValueLayout.JAVA_INT, (int) storage.byteSize());
            int result = (int) call.invoke(state, fd, storage.address(), length.address());
            check(name, state.check(result));
            return SocketAddress.decode(storage, length.get(ValueLayout.JAVA_INT, 0));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    public static void close(int fd) {
        Process.close(fd);
    }
}

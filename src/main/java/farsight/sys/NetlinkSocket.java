package farsight.sys;

import static farsight.sys.ErrnoException.check;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.sockaddr_nl;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A socket to the kernel's generic netlink (netlink(7)). It is connected to the kernel, which keeps other processes from
 * sending to it. One thread.
 */
public final class NetlinkSocket implements AutoCloseable {
    public static final int EAGAIN = Linux.EAGAIN();
    /** Messages were lost, because they were not received in time. */
    public static final int ENOBUFS = Linux.ENOBUFS();

    private static final Call SOCKET = Native.call("socket", 3);
    private static final Call CONNECT = Native.call("connect", 3);
    private static final Call SETSOCKOPT = Native.call("setsockopt", 5);
    private static final Call SEND = Native.call("send", 4);
    private static final Call RECV = Native.call("recv", 4);

    private final int fd;

    private NetlinkSocket(int fd) {
        this.fd = fd;
    }

    /** A socket whose errors come with text, where the kernel has one (since 4.12). */
    public static NetlinkSocket generic() throws ErrnoException {
        NetlinkSocket socket = new NetlinkSocket(open());
        try {
            socket.connect();
            socket.option(Linux.NETLINK_EXT_ACK(), 1);
            return socket;
        } catch (ErrnoException e) {
            socket.close();
            throw e;
        }
    }

    private static int open() throws ErrnoException {
        try (CallState state = CallState.open()) {
            int family = Linux.AF_NETLINK();
            int type = Linux.SOCK_RAW() | Linux.SOCK_CLOEXEC();
            int protocol = Linux.NETLINK_GENERIC();
            return check("netlink socket", state.check((int) SOCKET.invoke(state, family, type, protocol)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Port 0 is the kernel; the socket gets a port of its own by the way. */
    private void connect() throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment kernel = arena.allocate(sockaddr_nl.layout());
            sockaddr_nl.nl_family(kernel, (short) Linux.AF_NETLINK());
            int length = (int) kernel.byteSize();
            check("netlink connect", state.check((int) CONNECT.invoke(state, fd, kernel.address(), length)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Receives the messages of a multicast group from now on. */
    public void join(int group) throws ErrnoException {
        option(Linux.NETLINK_ADD_MEMBERSHIP(), group);
    }

    private void option(int name, int value) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            long at = arena.allocateFrom(ValueLayout.JAVA_INT, value).address();
            int level = Linux.SOL_NETLINK();
            check("netlink setsockopt", state.check((int) SETSOCKOPT.invoke(state, fd, level, name, at, 4)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    public int fd() {
        return fd;
    }

    /** Sends one message; netlink takes it whole or not at all. */
    public void send(MemorySegment message) throws ErrnoException {
        try (CallState state = CallState.open()) {
            long length = message.byteSize();
            long n;
            do {
                n = state.check(SEND.invoke(state, fd, message.address(), length, 0));
            } while (n == -Linux.EINTR());
            check("netlink send", n);
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /**
     * Receives one datagram, which may have several messages.
     *
     * @param timeoutMillis how long to wait; -1 for ever, 0 not at all
     * @return bytes of it, more than the buffer has when it was too small; -1 when none came in time
     * @throws ErrnoException ENOBUFS when messages were lost
     */
    public long receive(MemorySegment buffer, int timeoutMillis) throws ErrnoException {
        if (!Sockets.awaitReadable(fd, timeoutMillis)) {
            return -1;
        }
        try (CallState state = CallState.open()) {
            int flags = Linux.MSG_DONTWAIT() | Linux.MSG_TRUNC();
            long length = buffer.byteSize();
            long n = state.check(RECV.invoke(state, fd, buffer.address(), length, flags));
            if (n == -EAGAIN || n == -Linux.EINTR()) {
                return -1;
            }
            return check("netlink receive", n);
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    @Override
    public void close() {
        Process.close(fd);
    }
}

package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.sockaddr_in;
import farsight.bindings.linux.sockaddr_in6;
import farsight.bindings.linux.sockaddr_storage;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Where a socket listens or connects: an IP address with a port, or a path. */
public sealed interface SocketAddress {

    /** TCP. The address is IPv4 or IPv6; port 0 to 65535. */
    record Tcp(InetAddress address, int port) implements SocketAddress {
        @Override
        public int family() {
            return address instanceof Inet6Address ? Linux.AF_INET6() : Linux.AF_INET();
        }

        @Override
        public MemorySegment encode(Arena arena) {
            byte[] bytes = address.getAddress();
            if (address instanceof Inet6Address ip) {
                MemorySegment encoded = arena.allocate(sockaddr_in6.layout());
                sockaddr_in6.sin6_family(encoded, (short) Linux.AF_INET6());
                encoded.set(PORT, sockaddr_in6.sin6_port$offset(), (short) port);
                MemorySegment.copy(
                        bytes, 0, encoded, ValueLayout.JAVA_BYTE, sockaddr_in6.sin6_addr$offset(), bytes.length);
                sockaddr_in6.sin6_scope_id(encoded, ip.getScopeId());
                return encoded;
            }
            MemorySegment encoded = arena.allocate(sockaddr_in.layout());
            sockaddr_in.sin_family(encoded, (short) Linux.AF_INET());
            encoded.set(PORT, sockaddr_in.sin_port$offset(), (short) port);
            MemorySegment.copy(bytes, 0, encoded, ValueLayout.JAVA_BYTE, sockaddr_in.sin_addr$offset(), bytes.length);
            return encoded;
        }

        @Override
        public String toString() {
            String host = address.getHostAddress();
            return (address instanceof Inet6Address ? "[" + host + "]" : host) + ":" + port;
        }
    }

    /** A unix socket. An empty path is the unnamed end of a socket. */
    record Unix(String path) implements SocketAddress {
        /** The longest path that fits, in bytes. */
        public static final int MAX_PATH = 107;

        public Unix {
            if (path.getBytes(StandardCharsets.UTF_8).length > MAX_PATH) {
                throw new IllegalArgumentException("unix socket path '" + path + "' is longer than " + MAX_PATH
                        + " bytes; use a shorter directory");
            }
        }

        public static Unix of(Path path) {
            return new Unix(path.toString());
        }

        @Override
        public int family() {
            return Linux.AF_UNIX();
        }

        @Override
        public MemorySegment encode(Arena arena) {
            byte[] bytes = path.getBytes(StandardCharsets.UTF_8);
            MemorySegment encoded = arena.allocate(UNIX_PATH + bytes.length + 1, Short.BYTES);
            encoded.set(ValueLayout.JAVA_SHORT, 0, (short) Linux.AF_UNIX());
            MemorySegment.copy(bytes, 0, encoded, ValueLayout.JAVA_BYTE, UNIX_PATH, bytes.length);
            return encoded;
        }

        @Override
        public String toString() {
            return path.isEmpty() ? "unix" : "unix:" + path;
        }
    }

    /**
     * Where struct sockaddr_un has its path: behind its family. Not from the generated class, which takes as long to be
     * linked as a client takes to connect.
     */
    long UNIX_PATH = Short.BYTES;

    ValueLayout.OfShort PORT = ValueLayout.JAVA_SHORT.withOrder(ByteOrder.BIG_ENDIAN);

    /** The address family, AF_INET, AF_INET6 or AF_UNIX. */
    int family();

    /** The struct sockaddr, exactly as long as the kernel wants it. */
    MemorySegment encode(Arena arena);

    /** Room for any address. */
    static MemorySegment storage(Arena arena) {
        return arena.allocate(sockaddr_storage.layout());
    }

    /** Reads what the kernel wrote. */
    static SocketAddress decode(MemorySegment address, int length) {
        int family = length < 2 ? Linux.AF_UNIX() : address.get(ValueLayout.JAVA_SHORT, 0);
        if (family == Linux.AF_INET()) {
            return new Tcp(ip(address, sockaddr_in.sin_addr$offset(), 4), port(address, sockaddr_in.sin_port$offset()));
        }
        if (family == Linux.AF_INET6()) {
            return new Tcp(
                    ip(address, sockaddr_in6.sin6_addr$offset(), 16), port(address, sockaddr_in6.sin6_port$offset()));
        }
        byte[] path = length <= UNIX_PATH
                ? new byte[0]
                : address.asSlice(UNIX_PATH, length - UNIX_PATH).toArray(ValueLayout.JAVA_BYTE);
        int end = 0;
        while (end < path.length && path[end] != 0) {
            end++;
        }
        return new Unix(new String(path, 0, end, StandardCharsets.UTF_8));
    }

    private static int port(MemorySegment address, long offset) {
        return Short.toUnsignedInt(address.get(PORT, offset));
    }

    private static InetAddress ip(MemorySegment address, long offset, int bytes) {
        try {
            // An IPv4 address mapped into IPv6 comes out as IPv4, which is what a person expects to read.
            return InetAddress.getByAddress(address.asSlice(offset, bytes).toArray(ValueLayout.JAVA_BYTE));
        } catch (UnknownHostException e) {
            throw new AssertionError("addresses of 4 and 16 bytes are legal", e);
        }
    }
}

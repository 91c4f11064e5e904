package farsight.server;

import farsight.config.Limits;
import farsight.sys.SocketAddress;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/**
 * Who is let in. Those who have not finished their handshakes give way to newcomers when the server is full, first those
 * of whom the same address has most: half-open connections, however many, keep nobody out who means to work. Guarded by
 * its server's lock.
 */
final class Admission {
    /** How many may be on their way out, so that a loop that is slow to close them does not make them pile up. */
    private static final int MOST_LEAVING = 64;

    private static final int IPV6_SITE = 8;

    private final Set<Connection> halfOpen = new LinkedHashSet<>();
    private final Set<Connection> leaving = new LinkedHashSet<>();
    private final Map<Object, Integer> halfOpenOf = new HashMap<>();
    private final Map<Object, Integer> all = new HashMap<>();

    /**
     * Why a newcomer is not let in; null when it is.
     *
     * @param open connections that there are, without those that are leaving
     */
    String refusal(SocketAddress peer, Limits limits, int open) {
        int most = limits.maxPerAddress();
        Object origin = origin(peer);
        if (most > 0 && peer instanceof SocketAddress.Tcp && all.getOrDefault(origin, 0) >= most) {
            return most + " connections of this address are open already (max_connections_per_address)";
        }
        boolean room = open < limits.maxConnections() || !halfOpen.isEmpty() && leaving.size() < MOST_LEAVING;
        return room ? null : limits.maxConnections() + " connections are open already (max_connections)";
    }

    /** The connection that has to go so that another one may come. */
    Connection evict() {
        Object busiest = null;
        int most = 0;
        for (Map.Entry<Object, Integer> each : halfOpenOf.entrySet()) {
            if (each.getValue() > most) {
                busiest = each.getKey();
                most = each.getValue();
            }
        }
        for (Connection connection : halfOpen) {
            if (origin(connection.peer()).equals(busiest)) {
                settled(connection);
                leaving.add(connection);
                return connection;
            }
        }
        throw new AssertionError("asked for although nobody is in a handshake");
    }

    void came(Connection connection) {
        halfOpen.add(connection);
        count(halfOpenOf, connection, 1);
        count(all, connection, 1);
    }

    /** It has finished its handshake. */
    void settled(Connection connection) {
        if (halfOpen.remove(connection)) {
            count(halfOpenOf, connection, -1);
        }
    }

    /** It had finished its handshake before it was told to go. */
    void stays(Connection connection) {
        leaving.remove(connection);
    }

    void gone(Connection connection) {
        settled(connection);
        leaving.remove(connection);
        count(all, connection, -1);
    }

    /** How many have been told to go, and have not gone. */
    int leaving() {
        return leaving.size();
    }

    private static void count(Map<Object, Integer> counts, Connection connection, int more) {
        counts.merge(
                origin(connection.peer()), more, (before, change) -> before + change == 0 ? null : before + change);
    }

    /** An address, of which everybody has one; or, of IPv6, the network that everybody has (RFC 6177). */
    private static Object origin(SocketAddress peer) {
        if (!(peer instanceof SocketAddress.Tcp tcp)) {
            return SocketAddress.Unix.class; // all of this machine
        }
        if (!(tcp.address() instanceof Inet6Address ip)) {
            return tcp.address();
        }
        byte[] site = ip.getAddress();
        Arrays.fill(site, IPV6_SITE, site.length, (byte) 0);
        try {
            return InetAddress.getByAddress(site);
        } catch (UnknownHostException e) {
            throw new AssertionError("16 bytes are an address", e);
        }
    }
}

package farsight.config;

import java.net.InetAddress;
import java.security.cert.X509Certificate;
import java.util.Set;

/**
 * What is known of who a client is.
 *
 * @param address where it comes from; null over a unix socket
 * @param user number of the user whose process connected to a unix socket, or {@link #NOBODY}
 * @param groups numbers of that process's groups
 * @param certificate the one that it has proved to have the key of, signed by an authority that is trusted; null for none
 */
public record ClientIdentity(InetAddress address, int user, Set<Integer> groups, X509Certificate certificate) {
    /** No user of this machine. */
    public static final int NOBODY = -1;

    public ClientIdentity {
        groups = Set.copyOf(groups);
    }
}

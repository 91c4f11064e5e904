package farsight.config;

import java.net.InetAddress;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
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

    /**
     * For people: the number of the user, and the subject of the certificate (RFC 2253) behind it, which ends the text
     * since it may be anything that its authority has signed. Empty when neither is known.
     */
    public String known() {
        List<String> words = new ArrayList<>();
        if (user != NOBODY) {
            words.add("user " + Integer.toUnsignedString(user));
        }
        if (certificate != null) {
            words.add("certificate '" + certificate.getSubjectX500Principal().getName() + "'");
        }
        return String.join(", ", words);
    }
}

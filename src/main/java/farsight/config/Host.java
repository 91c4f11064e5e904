package farsight.config;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.Optional;
import java.util.regex.Pattern;

/** Addresses and names of machines, looked at without asking anybody: reading a configuration resolves nothing. */
final class Host {
    private static final Pattern DIGITS_AND_DOTS = Pattern.compile("[\\d.]+");
    private static final Pattern NAME = Pattern.compile("[\\p{Alnum}]([\\p{Alnum}_-]*[\\p{Alnum}])?");
    private static final int LONGEST_NAME = 253;

    private Host() {}

    /** What is wrong with an address or name, if anything. */
    static Optional<String> problem(String host) {
        if (host.isEmpty()) {
            return Optional.of("is empty; write localhost, an address, or \"::\" for every address of a machine");
        }
        if (host.startsWith("[") || host.endsWith("]")) {
            return Optional.of("has brackets, which an address alone does not need; remove them");
        }
        if (host.indexOf(':') >= 0) {
            return isLiteral(host.replaceFirst("%.*", "")) ? Optional.empty() : Optional.of(notV6(host));
        }
        if (DIGITS_AND_DOTS.matcher(host).matches()) {
            // ofLiteral also reads the old short forms such as 127.1; nobody means those any more.
            return host.split("\\.", -1).length == 4 && isLiteral(host)
                    ? Optional.empty()
                    : Optional.of("is not an IPv4 address; that is four numbers from 0 to 255");
        }
        String absolute = host.endsWith(".") ? host.substring(0, host.length() - 1) : host;
        for (String label : absolute.split("\\.", -1)) {
            if (host.length() > LONGEST_NAME || !NAME.matcher(label).matches()) {
                return Optional.of("is neither an IPv4 or IPv6 address nor the name of a machine");
            }
        }
        return Optional.empty();
    }

    private static String notV6(String host) {
        return host.matches("[^:]+:\\d+")
                ? "has a port in it; write that as port = " + host.substring(host.indexOf(':') + 1)
                : "is not an IPv6 address";
    }

    private static boolean isLiteral(String host) {
        try {
            InetAddress.ofLiteral(host);
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** An IPv6 address in its one short form (RFC 5952), with its zone; anything else as it is. */
    static String canonical(String host) {
        int zone = host.indexOf('%');
        String address = zone < 0 ? host : host.substring(0, zone);
        if (address.indexOf(':') < 0 || !isLiteral(address)) {
            return host;
        }
        InetAddress parsed = InetAddress.ofLiteral(address);
        return parsed instanceof Inet6Address v6
                ? shortest(v6.getAddress()) + (zone < 0 ? "" : host.substring(zone))
                : parsed.getHostAddress();
    }

    /** The longest run of zero groups, of at least two, becomes {@code ::}; the first of equal ones. */
    private static String shortest(byte[] bytes) {
        int[] groups = new int[8];
        int longest = 1;
        int at = -1;
        int run = 0;
        for (int i = 0; i < groups.length; i++) {
            groups[i] = Byte.toUnsignedInt(bytes[2 * i]) << 8 | Byte.toUnsignedInt(bytes[2 * i + 1]);
            run = groups[i] == 0 ? run + 1 : 0;
            if (run > longest) {
                longest = run;
                at = i + 1 - run;
            }
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < groups.length; i++) {
            if (i == at) {
                text.append("::");
                i += longest - 1;
                continue;
            }
            text.append(text.isEmpty() || text.charAt(text.length() - 1) == ':' ? "" : ":")
                    .append(Integer.toHexString(groups[i]));
        }
        return text.toString();
    }
}

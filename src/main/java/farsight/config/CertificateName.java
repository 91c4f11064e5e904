package farsight.config;

import java.net.InetAddress;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.security.auth.x500.X500Principal;

/**
 * Clients whose certificate is for a name: of its subject (RFC 5280, section 4.1.2.6) or one of its alternative names
 * (section 4.2.1.6).
 *
 * @param pattern {@code *} stands for any characters; not in a whole subject. A network for addresses
 */
public record CertificateName(Kind kind, String pattern) implements Who {
    public enum Kind {
        /** The whole subject, as RFC 2253 writes it. */
        SUBJECT("subject"),
        CN("CN"),
        O("O"),
        OU("OU"),
        DNS("DNS"),
        IP("IP"),
        URI("URI"),
        EMAIL("EMAIL");

        private final String word;

        Kind(String word) {
            this.word = word;
        }
    }

    // GeneralName's numbers, see X509Certificate.getSubjectAlternativeNames.
    private static final int RFC822 = 1;
    private static final int DNS_NAME = 2;
    private static final int RESOURCE = 6;
    private static final int ADDRESS = 7;

    static boolean isKind(String word) {
        return kind(word) != null;
    }

    private static Kind kind(String word) {
        return Arrays.stream(Kind.values())
                .filter(kind -> kind.word.equals(word))
                .findFirst()
                .orElse(null);
    }

    /** For messages. */
    static String kinds() {
        return Arrays.stream(Kind.values()).map(kind -> kind.word + ":").collect(Collectors.joining(", "));
    }

    /**
     * Reads {@code CN:backup-*}, {@code DNS:*.storage.example}, {@code subject:CN=alice,O=Example}.
     *
     * @throws IllegalArgumentException with a message for people
     */
    static CertificateName parse(String word) {
        int colon = word.indexOf(':');
        Kind kind = colon < 0 ? null : kind(word.substring(0, colon));
        if (kind == null) {
            throw new IllegalArgumentException("\"" + Values.shorten(word) + "\" does not begin with " + kinds()
                    + " which say what of a certificate is meant, such as CN:backup-*");
        }
        String pattern = word.substring(colon + 1);
        if (pattern.isEmpty()) {
            throw new IllegalArgumentException("\"" + word + "\" has nothing after the colon");
        }
        if (kind == Kind.IP) {
            Network.parse(pattern);
        } else if (kind == Kind.SUBJECT) {
            checkSubject(pattern);
        }
        return new CertificateName(kind, pattern);
    }

    private static void checkSubject(String name) {
        if (name.indexOf('*') >= 0) {
            throw new IllegalArgumentException("subject: takes a whole name without *; CN:, O: and OU: take patterns");
        }
        try {
            new X500Principal(name);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "\"" + Values.shorten(name) + "\" is not the name of a subject, such as CN=alice,O=Example", e);
        }
    }

    @Override
    public boolean includes(ClientIdentity client) {
        X509Certificate certificate = client.certificate();
        if (certificate == null) {
            return false;
        }
        X500Principal subject = certificate.getSubjectX500Principal();
        return switch (kind) {
            case SUBJECT -> new X500Principal(pattern).equals(subject);
            case CN, O, OU -> SubjectName.values(subject, kind.name()).stream().anyMatch(value -> fits(value, false));
            case DNS -> alternatives(certificate, DNS_NAME).stream().anyMatch(value -> fits(value, true));
            case EMAIL -> alternatives(certificate, RFC822).stream().anyMatch(value -> fits(value, true));
            case URI -> alternatives(certificate, RESOURCE).stream().anyMatch(value -> fits(value, false));
            case IP -> {
                Network network = Network.parse(pattern);
                yield alternatives(certificate, ADDRESS).stream()
                        .anyMatch(value -> network.contains(InetAddress.ofLiteral(value)));
            }
        };
    }

    /** Without a regular expression of the pattern's making: only the star means something. */
    private boolean fits(String value, boolean anyCase) {
        String wanted = anyCase ? pattern.toLowerCase(Locale.ROOT) : pattern;
        String expression =
                Arrays.stream(wanted.split("\\*", -1)).map(Pattern::quote).collect(Collectors.joining(".*"));
        return Pattern.compile(expression, Pattern.DOTALL)
                .matcher(anyCase ? value.toLowerCase(Locale.ROOT) : value)
                .matches();
    }

    private static List<String> alternatives(X509Certificate certificate, int type) {
        List<String> found = new ArrayList<>();
        try {
            Collection<List<?>> all = certificate.getSubjectAlternativeNames();
            if (all != null) {
                all.stream()
                        .filter(each -> each.get(0).equals(type) && each.get(1) instanceof String)
                        .forEach(each -> found.add((String) each.get(1)));
            }
        } catch (CertificateParsingException e) {
            return List.of(); // it names nobody
        }
        return found;
    }
}

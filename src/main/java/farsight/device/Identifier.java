package farsight.device;

import farsight.config.NbdUri;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** What a device shows as its backend in sysfs, and is found by again: the export's URI. */
final class Identifier {
    /** A file of sysfs has one page. A longer URI is cut, and told from others by its digest. */
    private static final int LONGEST = 1024;

    private static final int DIGEST_BYTES = 16;

    private Identifier() {}

    static String of(NbdUri uri) {
        String text = uri.toString();
        if (text.length() <= LONGEST) {
            return text;
        }
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            String end = "..." + HexFormat.of().formatHex(digest, 0, DIGEST_BYTES);
            return text.substring(0, LONGEST - end.length()) + end;
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}

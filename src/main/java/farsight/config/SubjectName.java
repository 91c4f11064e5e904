package farsight.config;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import javax.security.auth.x500.X500Principal;

/** The attributes of a subject's name, taken from its canonical text (RFC 2253), where every special character is escaped. */
final class SubjectName {
    private final byte[] text;
    private int at;

    private SubjectName(String text) {
        this.text = text.getBytes(StandardCharsets.UTF_8);
    }

    /** The values of an attribute, such as CN, without their escapes. */
    static List<String> values(X500Principal subject, String attribute) {
        return new SubjectName(subject.getName(X500Principal.RFC2253)).values(attribute);
    }

    private List<String> values(String attribute) {
        List<String> found = new ArrayList<>();
        while (at < text.length) {
            String type = upTo("=");
            String value = upTo(",+");
            // What begins with # is something else than text.
            if (type.equals(attribute) && !value.startsWith("#")) {
                found.add(value);
            }
        }
        return found;
    }

    /** What comes before a separator that is not escaped; goes on behind it. */
    private String upTo(String separators) {
        ByteBuffer word = ByteBuffer.allocate(text.length);
        while (at < text.length) {
            char next = (char) (text[at++] & 0xff);
            if (next == '\\' && at < text.length) {
                word.put(escaped());
            } else if (separators.indexOf(next) >= 0) {
                break;
            } else {
                word.put((byte) next);
            }
        }
        return new String(word.array(), 0, word.position(), StandardCharsets.UTF_8);
    }

    /** One character, or two hexadecimal digits for a byte. */
    private byte escaped() {
        int high = Character.digit(text[at], 16);
        int low = at + 1 < text.length ? Character.digit(text[at + 1], 16) : -1;
        if (high >= 0 && low >= 0) {
            at += 2;
            return (byte) (high << 4 | low);
        }
        return text[at++];
    }
}

package farsight.backend.rbd;

import farsight.backend.Settings;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which image, as Ceph's tools write it: {@code pool[/namespace]/image[@snapshot]}.
 *
 * @param namespace empty for the default one
 * @param snapshot empty for the image itself
 */
record ImageSpec(String pool, String namespace, String image, String snapshot) {
    private static final Pattern FORM = Pattern.compile("([^/@]+)/(?:([^/@]+)/)?([^/@]+)(?:@([^/@]+))?");

    /** @throws IllegalArgumentException with a message for people */
    static ImageSpec parse(String text) {
        Matcher matcher = FORM.matcher(text);
        if (!matcher.matches() || text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("'rbd:" + text + "' is not rbd:POOL[/NAMESPACE]/IMAGE[@SNAPSHOT]");
        }
        String namespace = matcher.group(2) == null ? "" : matcher.group(2);
        String snapshot = matcher.group(4) == null ? "" : matcher.group(4);
        return new ImageSpec(matcher.group(1), namespace, matcher.group(3), snapshot);
    }

    static ImageSpec of(Settings export) {
        return new ImageSpec(
                export.string("pool").orElse("rbd"),
                export.string("namespace").orElse(""),
                export.string("image").orElseThrow(),
                export.string("snapshot").orElse(""));
    }

    Settings settings() {
        Map<String, Object> values = new HashMap<>(Map.of("pool", pool, "image", image));
        if (!namespace.isEmpty()) {
            values.put("namespace", namespace);
        }
        if (!snapshot.isEmpty()) {
            values.put("snapshot", snapshot);
        }
        return new Settings(values);
    }

    /** Whether a pattern such as {@code pool/*} means it; {@code *} stands for anything but a slash. */
    boolean matches(String pattern) {
        return fits(path(), pattern);
    }

    /** Whether a text is what a pattern means, or a part of it what that part means. */
    static boolean fits(String text, String pattern) {
        StringBuilder regex = new StringBuilder();
        for (char c : pattern.toCharArray()) {
            regex.append(c == '*' ? "[^/]*" : Pattern.quote(String.valueOf(c)));
        }
        return text.matches(regex.toString());
    }

    /** Without the snapshot. */
    private String path() {
        return pool + "/" + (namespace.isEmpty() ? "" : namespace + "/") + image;
    }

    @Override
    public String toString() {
        return path() + (snapshot.isEmpty() ? "" : "@" + snapshot);
    }
}

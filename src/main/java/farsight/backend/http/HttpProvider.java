package farsight.backend.http;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** {@code http}: a file of a web server, read-only, over HTTP or HTTPS. */
public final class HttpProvider implements BackendProvider {
    @Override
    public String name() {
        return "http";
    }

    @Override
    public String description() {
        return "a file of a web server, read-only";
    }

    @Override
    public List<Setting> exportSettings() {
        return List.of(
                Setting.required("url", Setting.Type.STRING, "http://... or https://..."),
                Setting.optional(
                        "tls_certificates",
                        Setting.Type.STRING,
                        "directory of ca-cert.pem, and of client-cert.pem and client-key.pem; for https"),
                Setting.optional("timeout", Setting.Type.DURATION, "how long an answer may take, 30 s unless told"),
                Setting.optional(
                        "retries", Setting.Type.INTEGER, "how often a failed read is tried again, 2 unless told"),
                Setting.optional("headers", Setting.Type.TABLE, "sent with each request, such as Authorization"));
    }

    @Override
    public String format(Settings export) {
        throw new IllegalArgumentException("clients cannot name URLs; use an export of the server's");
    }

    @Override
    public Settings parse(String spec) {
        return new Settings(Map.of("url", spec));
    }

    @Override
    public Backend configure(Settings server) {
        return new Backend() {
            @Override
            public HttpDevice open(Settings export) throws IOException {
                return HttpDevice.open(
                        uri(export.string("url").orElseThrow()),
                        export.string("tls_certificates").map(Path::of).orElse(null),
                        export.duration("timeout").orElse(Duration.ofSeconds(30)),
                        Math.clamp(export.number("retries").orElse(2), 0, 100),
                        export.table("headers"));
            }

            /** Otherwise anybody could have this server ask others in its name. */
            @Override
            public HttpDevice openTyped(Settings export) throws IOException {
                throw new DeviceException(
                        Errno.EPERM,
                        "URLs cannot be named by clients: write an [exports.NAME] with backend = \"http\"");
            }
        };
    }

    private static URI uri(String text) throws IOException {
        try {
            URI uri = new URI(text);
            boolean web = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
            if (web && uri.getHost() != null) {
                return uri;
            }
        } catch (java.net.URISyntaxException e) {
            // Said below.
        }
        throw new DeviceException(Errno.EINVAL, "'" + text + "' is no URL of the form http://HOST/PATH or https://...");
    }
}

package farsight.config;

import farsight.backend.BackendProvider;
import farsight.backend.Settings;
import java.util.Map;

/** Exports and addresses as they are written on the command line. */
public final class ExportSpec {
    private ExportSpec() {}

    /**
     * Reads {@code NAME=BACKEND:REST}, for example {@code disk=file:/srv/disk.img}.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static ExportConfig parse(String text, Map<String, BackendProvider> providers) {
        int equals = text.indexOf('=');
        int colon = text.indexOf(':', equals + 1);
        if (equals < 1 || colon < 0) {
            throw new IllegalArgumentException(
                    "export '" + text + "' is not NAME=BACKEND:WHAT, such as disk=file:/srv/disk.img");
        }
        String backend = text.substring(equals + 1, colon);
        BackendProvider provider = providers.get(backend);
        if (provider == null) {
            throw new IllegalArgumentException("export '" + text + "': no backend is called '" + backend + "'; "
                    + Suggestion.of(backend, providers.keySet())
                            .map(word -> "did you mean '" + word + "'?")
                            .orElse("there are " + String.join(", ", providers.keySet())));
        }
        Settings settings = provider.parse(text.substring(colon + 1));
        return new ExportConfig(text.substring(0, equals), backend, settings, false, "");
    }

    /**
     * Reads {@code HOST:PORT}, {@code [IPV6]:PORT} or {@code unix:PATH}.
     *
     * @throws IllegalArgumentException with a message for people
     */
    public static ListenAddress parseAddress(String text) {
        if (text.startsWith("unix:") && text.length() > 5) {
            return new ListenAddress.Unix(text.substring(5));
        }
        int colon = text.lastIndexOf(':');
        String host = colon < 1 ? "" : text.substring(0, colon);
        boolean bracketed = host.startsWith("[") && host.endsWith("]");
        if (host.isEmpty() || !text.substring(colon + 1).matches("\\d{1,5}") || host.contains(":") && !bracketed) {
            throw new IllegalArgumentException("address '" + text + "' is not HOST:PORT, [IPV6]:PORT or unix:PATH");
        }
        int port = Integer.parseInt(text.substring(colon + 1));
        if (port > 65535) {
            throw new IllegalArgumentException("address '" + text + "': a port is at most 65535");
        }
        return new ListenAddress.Tcp(bracketed ? host.substring(1, host.length() - 1) : host, port);
    }
}

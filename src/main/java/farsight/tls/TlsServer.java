package farsight.tls;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;

/** What a server's connections have in common when they turn to TLS. Any thread. */
public final class TlsServer {
    private final SSLContext context;
    private final boolean verifyClients;
    private final String[] protocols;

    /**
     * @param versions such as 1.3
     * @throws IOException one line with the file and the remedy
     */
    public TlsServer(Path directory, boolean verifyClients, List<String> versions) throws IOException {
        context = Credentials.server(directory, verifyClients);
        this.verifyClients = verifyClients;
        protocols = protocols(versions);
    }

    static String[] protocols(List<String> versions) {
        return versions.stream().map(version -> "TLSv" + version).toArray(String[]::new);
    }

    /** For one connection. */
    public SSLEngine engine() {
        SSLEngine engine = context.createSSLEngine();
        engine.setUseClientMode(false);
        engine.setEnabledProtocols(protocols);
        engine.setNeedClientAuth(verifyClients);
        return engine;
    }
}

package farsight.tls;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;

/** What a client needs to turn a connection to TLS. Any thread. */
public final class TlsClient {
    private static final String[] PROTOCOLS = TlsServer.protocols(List.of("1.2", "1.3"));

    private final SSLContext context;
    private final String hostname;
    private final boolean verify;

    /**
     * @param certificates a directory as {@link Credentials} says; null for the authorities that the JDK knows
     * @param hostname name or address that the server's certificate has to be for
     * @param verify whether it is checked
     * @throws IOException one line with the file and the remedy
     */
    public TlsClient(Path certificates, String hostname, boolean verify) throws IOException {
        context = Credentials.client(certificates, verify);
        this.hostname = hostname;
        this.verify = verify;
    }

    /** For one connection. */
    public SSLEngine engine() {
        SSLEngine engine = context.createSSLEngine(hostname, -1);
        engine.setUseClientMode(true);
        engine.setEnabledProtocols(PROTOCOLS);
        if (verify) {
            SSLParameters parameters = engine.getSSLParameters();
            // The rules for names in certificates are those of HTTPS (RFC 2818), as for every other user of the JDK.
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            engine.setSSLParameters(parameters);
        }
        return engine;
    }
}

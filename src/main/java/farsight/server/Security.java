package farsight.server;

import farsight.config.TlsConfig;
import farsight.tls.TlsServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * TLS as connections get it: immutable, so that another one takes its place as a whole.
 *
 * @param tls null when there is none
 * @param stamp what tells the files apart from others that are put in their place
 */
record Security(TlsConfig config, TlsServer tls, String stamp) {
    static final Security OFF = new Security(TlsConfig.OFF, null, "");

    /** @throws IOException one line with the file and the remedy */
    static Security of(TlsConfig config) throws IOException {
        if (config.mode() == TlsConfig.Mode.OFF) {
            return OFF;
        }
        // Before they are read: a change in between shows later.
        String stamp = stamp(config);
        return new Security(
                config, new TlsServer(config.certificates(), config.verifyClients(), config.versions()), stamp);
    }

    /** Of the files as they are now, wherever links lead. */
    static String stamp(TlsConfig config) {
        StringBuilder all = new StringBuilder();
        for (String name : new String[] {"ca-cert.pem", "server-cert.pem", "server-key.pem"}) {
            Path file = config.certificates().resolve(name);
            try {
                BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
                all.append(now.lastModifiedTime()).append(now.size()).append(now.fileKey());
            } catch (IOException e) {
                all.append('-');
            }
            all.append('\n');
        }
        return all.toString();
    }

    boolean isOn() {
        return tls != null;
    }

    boolean isRequired() {
        return config.mode() == TlsConfig.Mode.REQUIRE;
    }
}

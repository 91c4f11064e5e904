package farsight.tls;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.util.List;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * A directory of certificates in the convention that nbd-client, libnbd and qemu share: {@code ca-cert.pem} says whom to
 * trust, {@code server-cert.pem} with {@code server-key.pem} and {@code client-cert.pem} with {@code client-key.pem} who
 * one is.
 */
public final class Credentials {
    private static final String AUTHORITY = "ca-cert.pem";

    private Credentials() {}

    /**
     * What a server needs.
     *
     * @param verifyClients whether the directory must say which authority signs clients' certificates
     * @throws IOException one line with the file and the remedy
     */
    public static SSLContext server(Path directory, boolean verifyClients) throws IOException {
        Path authority = directory.resolve(AUTHORITY);
        if (verifyClients && !Files.exists(authority)) {
            throw new IOException(authority + ": there is no such file; it says which authority signs the certificates"
                    + " of clients (tls_verify_clients)");
        }
        // Trusting nobody, rather than everybody whom the JDK knows, when nobody is asked for a certificate.
        TrustManager[] trust = Files.exists(authority) ? trust(authority) : new TrustManager[0];
        return context(identity(directory, "server"), trust);
    }

    /**
     * What a client needs; without a certificate of its own if there is none in the directory.
     *
     * @param directory null for the authorities that the JDK knows
     * @param verify whether the server has to prove who it is
     * @throws IOException one line with the file and the remedy
     */
    public static SSLContext client(Path directory, boolean verify) throws IOException {
        boolean own = directory != null && Files.exists(directory.resolve("client-cert.pem"));
        boolean known = directory != null && Files.exists(directory.resolve(AUTHORITY));
        if (directory != null && verify && !known) {
            throw new IOException(directory.resolve(AUTHORITY)
                    + ": there is no such file; it says which authority signs the server's certificate");
        }
        TrustManager[] trust = known ? trust(directory.resolve(AUTHORITY)) : null;
        return context(
                own ? identity(directory, "client") : null, verify ? trust : new TrustManager[] {new TrustEverybody()});
    }

    private static SSLContext context(KeyManager[] keys, TrustManager[] trust) throws IOException {
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys, trust, null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IOException("TLS cannot be set up: " + e.getMessage(), e);
        }
    }

    private static KeyManager[] identity(Path directory, String role) throws IOException {
        Path keyFile = directory.resolve(role + "-key.pem");
        Path certificateFile = directory.resolve(role + "-cert.pem");
        List<X509Certificate> chain = Pem.certificates(certificateFile);
        PrivateKey key = Pem.privateKey(keyFile);
        try {
            if (!belong(key, chain.getFirst().getPublicKey())) {
                throw new IOException(
                        keyFile + " is not the key of " + certificateFile + "; one of them is of another" + " pair");
            }
            char[] none = new char[0];
            KeyStore store = empty();
            store.setKeyEntry(role, key, none, chain.toArray(X509Certificate[]::new));
            KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            factory.init(store, none);
            return factory.getKeyManagers();
        } catch (GeneralSecurityException e) {
            throw new IOException(certificateFile + ": cannot be used: " + e.getMessage(), e);
        }
    }

    /** Found out by use, which does for every kind of key. */
    private static boolean belong(PrivateKey key, PublicKey certified) throws GeneralSecurityException {
        String algorithm = switch (key.getAlgorithm()) {
            case "RSA" -> "SHA256withRSA";
            case "EC" -> "SHA256withECDSA";
            case "EdDSA", "Ed25519", "Ed448" -> "EdDSA";
            default -> null;
        };
        if (algorithm == null) {
            return true; // a mismatch shows in the first handshake
        }
        if (!key.getAlgorithm().equals(certified.getAlgorithm())) {
            return false;
        }
        byte[] something = {1, 2, 3};
        Signature signature = Signature.getInstance(algorithm);
        signature.initSign(key);
        signature.update(something);
        byte[] signed = signature.sign();
        signature.initVerify(certified);
        signature.update(something);
        return signature.verify(signed);
    }

    private static TrustManager[] trust(Path file) throws IOException {
        List<X509Certificate> authorities = Pem.certificates(file);
        try {
            KeyStore store = empty();
            for (int i = 0; i < authorities.size(); i++) {
                store.setCertificateEntry("authority-" + i, authorities.get(i));
            }
            TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
            factory.init(store);
            TrustManager[] all = factory.getTrustManagers();
            if (all[0] instanceof X509ExtendedTrustManager judge) {
                all[0] = new UnnamedAuthorities(judge);
            }
            return all;
        } catch (GeneralSecurityException e) {
            throw new IOException(file + ": cannot be used: " + e.getMessage(), e);
        }
    }

    private static KeyStore empty() throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }
}

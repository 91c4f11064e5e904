package farsight.tls;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads certificates and private keys from PEM files (RFC 7468), as openssl, GnuTLS and keytool write them. */
final class Pem {
    private static final int LARGEST = 1 << 20;
    private static final Pattern BLOCK = Pattern.compile("-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \\1-----");

    /** What the bytes of an object identifier mean to the JDK. */
    private static final Map<String, String> ALGORITHMS = Map.of(
            "2a864886f70d010101", "RSA",
            "2a864886f70d01010a", "RSASSA-PSS",
            "2a8648ce3d0201", "EC",
            "2b6570", "Ed25519",
            "2b6571", "Ed448");

    private static final byte[] RSA = HexFormat.of().parseHex("300d06092a864886f70d0101010500");
    private static final byte[] EC = HexFormat.of().parseHex("06072a8648ce3d0201");
    private static final byte[] VERSION = {2, 1, 0};
    private static final int SEQUENCE = 0x30;
    private static final int OCTETS = 0x04;
    private static final int PARAMETERS = 0xa0;

    private record Block(String label, byte[] content) {}

    private Pem() {}

    /**
     * The certificates of a file, in its order.
     *
     * @throws IOException one line with the file and the remedy
     */
    static List<X509Certificate> certificates(Path file) throws IOException {
        List<X509Certificate> all = new ArrayList<>();
        try {
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            for (Block block : blocks(file)) {
                if (block.label.endsWith("CERTIFICATE")) {
                    all.add((X509Certificate) factory.generateCertificate(new ByteArrayInputStream(block.content)));
                }
            }
        } catch (CertificateException e) {
            throw new IOException(file + ": a certificate in it cannot be read: " + e.getMessage(), e);
        }
        if (all.isEmpty()) {
            throw new IOException(file + ": there is no certificate in it (-----BEGIN CERTIFICATE-----)");
        }
        return all;
    }

    /**
     * The private key of a file that nobody but its owner may read.
     *
     * @throws IOException one line with the file and the remedy
     */
    static PrivateKey privateKey(Path file) throws IOException {
        List<Block> blocks = blocks(file);
        checkSecret(file);
        for (Block block : blocks) {
            try {
                switch (block.label) {
                    case "PRIVATE KEY" -> {
                        return key(block.content);
                    }
                    case "RSA PRIVATE KEY" -> {
                        return key(der(SEQUENCE, VERSION, RSA, der(OCTETS, block.content)));
                    }
                    case "EC PRIVATE KEY" -> {
                        byte[] algorithm = der(SEQUENCE, EC, curve(block.content));
                        return key(der(SEQUENCE, VERSION, algorithm, der(OCTETS, block.content)));
                    }
                    case "ENCRYPTED PRIVATE KEY" ->
                        throw new IOException(file
                                + ": the key is encrypted; write it without a passphrase (openssl pkey -in ... -out"
                                + " ...) and keep the file readable for its owner alone");
                    default -> {
                        // Such as EC PARAMETERS, which the key repeats.
                    }
                }
            } catch (GeneralSecurityException | IndexOutOfBoundsException e) {
                throw new IOException(file + ": the private key cannot be read: " + e.getMessage(), e);
            }
        }
        throw new IOException(file + ": there is no private key in it (-----BEGIN PRIVATE KEY-----)");
    }

    private static void checkSecret(Path file) throws IOException {
        Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
        for (PosixFilePermission permission : permissions) {
            if (!permission.name().startsWith("OWNER_")) {
                throw new IOException(file + ": others than its owner may use this private key; chmod 600 " + file);
            }
        }
    }

    private static List<Block> blocks(Path file) throws IOException {
        String text;
        try {
            if (Files.size(file) > LARGEST) {
                throw new IOException(file + ": is too large for a PEM file");
            }
            text = Files.readString(file, StandardCharsets.ISO_8859_1);
        } catch (NoSuchFileException e) {
            throw new IOException(file + ": there is no such file", e);
        }
        List<Block> blocks = new ArrayList<>();
        Matcher matcher = BLOCK.matcher(text);
        while (matcher.find()) {
            String label = matcher.group(1);
            if (matcher.group(2).contains(":")) {
                throw new IOException(file + ": the key is encrypted; write it without a passphrase");
            }
            try {
                blocks.add(new Block(label, Base64.getMimeDecoder().decode(matcher.group(2))));
            } catch (IllegalArgumentException e) {
                throw new IOException(file + ": what is between BEGIN and END " + label + " is not Base64", e);
            }
        }
        return blocks;
    }

    // ---- keys ----------------------------------------------------------------------------------------------------

    /** PKCS#8 (RFC 5208): a version, the algorithm, the key. */
    private static PrivateKey key(byte[] pkcs8) throws GeneralSecurityException {
        int at = content(pkcs8, 0);
        at = next(pkcs8, at);
        int identifier = content(pkcs8, at);
        int from = content(pkcs8, identifier);
        String algorithm = ALGORITHMS.get(HexFormat.of().formatHex(pkcs8, from, next(pkcs8, identifier)));
        if (algorithm == null) {
            throw new GeneralSecurityException("it is of a kind that is not known; use RSA, EC or Ed25519");
        }
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
    }

    /** The curve that a key of RFC 5915 names, as it is in PKCS#8. */
    private static byte[] curve(byte[] sec1) throws GeneralSecurityException {
        int end = next(sec1, 0);
        for (int at = content(sec1, 0); at < end; at = next(sec1, at)) {
            if ((sec1[at] & 0xff) == PARAMETERS) {
                int from = content(sec1, at);
                return java.util.Arrays.copyOfRange(sec1, from, next(sec1, at));
            }
        }
        throw new GeneralSecurityException("it does not name its curve");
    }

    /** Where the content of the element at an offset begins. */
    private static int content(byte[] der, int at) {
        int first = der[at + 1] & 0xff;
        return at + 2 + (first < 0x80 ? 0 : first & 0x7f);
    }

    /** The offset after the element at an offset. */
    private static int next(byte[] der, int at) throws GeneralSecurityException {
        int first = der[at + 1] & 0xff;
        int length = first < 0x80 ? first : 0;
        for (int i = 0; first >= 0x80 && i < (first & 0x7f); i++) {
            length = length << 8 | der[at + 2 + i] & 0xff;
        }
        int next = content(der, at) + length;
        if (length < 0 || next > der.length || next < at) {
            throw new GeneralSecurityException("it is not well formed");
        }
        return next;
    }

    private static byte[] der(int tag, byte[]... parts) {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            content.writeBytes(part);
        }
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(tag);
        if (content.size() < 0x80) {
            all.write(content.size());
        } else {
            all.write(0x83);
            all.write(content.size() >> 16);
            all.write(content.size() >> 8);
            all.write(content.size());
        }
        all.writeBytes(content.toByteArray());
        return all.toByteArray();
    }
}

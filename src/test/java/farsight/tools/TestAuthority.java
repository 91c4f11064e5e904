package farsight.tools;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;

/**
 * An authority that signs certificates for a test, and writes them as files in the convention of nbd, libnbd and qemu.
 * The certificates are put together here (RFC 5280): no tool and no network is needed, and wrong ones are easily had.
 */
public final class TestAuthority {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMddHHmmss'Z'").withZone(ZoneOffset.UTC);
    private static final byte[] SHA256_WITH_RSA = HexFormat.of().parseHex("300d06092a864886f70d01010b0500");
    private static final byte[] TRUE = {1, 1, (byte) 0xff};

    private static final KeyPair KEYS = keys();

    private final String name;
    private final KeyPair own = keys();
    private long serial = System.nanoTime();

    /** @param name of the authority, its common name */
    public TestAuthority(String name) {
        this.name = name;
    }

    private static KeyPair keys() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(2048);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    /** The key of all certificates but the authorities' own. */
    public static KeyPair keyPair() {
        return KEYS;
    }

    /** The authority's own certificate. */
    public String certificate() {
        return pem("CERTIFICATE", certificate(name, own, Instant.now().plus(Duration.ofDays(1)), true, List.of()));
    }

    /** Writes ca-cert.pem into a directory, which is made. */
    public Path trustedIn(Path directory) throws IOException {
        Files.createDirectories(directory);
        Files.writeString(directory.resolve("ca-cert.pem"), certificate());
        return directory;
    }

    /**
     * Writes a certificate and its key into a directory.
     *
     * @param role server or client
     * @param until when it ends
     * @param names host names, addresses, URIs and addresses of mail that it is for
     */
    public Path issue(Path directory, String role, String subject, Instant until, String... names) throws IOException {
        Files.createDirectories(directory);
        Files.writeString(
                directory.resolve(role + "-cert.pem"),
                pem("CERTIFICATE", certificate(subject, KEYS, until, false, List.of(names))));
        secret(
                directory.resolve(role + "-key.pem"),
                pem("PRIVATE KEY", KEYS.getPrivate().getEncoded()));
        return directory;
    }

    /** Writes a file that only its owner may read. */
    public static void secret(Path file, String text) throws IOException {
        Files.deleteIfExists(file);
        Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        Files.writeString(file, text);
    }

    public static String pem(String label, byte[] der) {
        return "-----BEGIN " + label + "-----\n"
                + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der) + "\n-----END " + label + "-----\n";
    }

    private byte[] certificate(String subject, KeyPair keys, Instant until, boolean authority, List<String> names) {
        Instant from = Instant.now().minus(Duration.ofDays(30));
        byte[] content = der(
                0x30,
                der(0xa0, der(2, new byte[] {2})),
                der(2, BigInteger.valueOf(serial++).toByteArray()),
                SHA256_WITH_RSA,
                distinguishedName(name),
                der(0x30, time(from), time(until)),
                distinguishedName(subject),
                keys.getPublic().getEncoded(),
                der(0xa3, extensions(authority, names)));
        try {
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initSign(own.getPrivate());
            signature.update(content);
            return der(0x30, content, SHA256_WITH_RSA, der(3, new byte[1], signature.sign()));
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] extensions(boolean authority, List<String> names) {
        List<byte[]> all = new ArrayList<>();
        if (authority) {
            all.add(extension("551d13", der(0x30, TRUE)));
            all.add(extension("551d0f", der(3, new byte[] {1, 6})));
        } else {
            all.add(extension("551d0f", der(3, new byte[] {5, (byte) 0xa0})));
        }
        if (!names.isEmpty()) {
            all.add(extension(
                    "551d11", der(0x30, names.stream().map(TestAuthority::name).toArray(byte[][]::new))));
        }
        return der(0x30, all.toArray(byte[][]::new));
    }

    private static byte[] name(String name) {
        if (name.contains("://")) {
            return der(0x86, name.getBytes(StandardCharsets.US_ASCII));
        }
        if (name.indexOf('@') >= 0) {
            return der(0x81, name.getBytes(StandardCharsets.US_ASCII));
        }
        return name.matches("[0-9.]+|.*:.*")
                ? der(0x87, InetAddress.ofLiteral(name).getAddress())
                : der(0x82, name.getBytes(StandardCharsets.US_ASCII));
    }

    private static byte[] extension(String identifier, byte[] value) {
        return der(0x30, der(6, HexFormat.of().parseHex(identifier)), TRUE, der(4, value));
    }

    private static byte[] time(Instant instant) {
        return der(0x18, TIME.format(instant).getBytes(StandardCharsets.US_ASCII));
    }

    private static byte[] distinguishedName(String common) {
        byte[] type = der(6, HexFormat.of().parseHex("550403"));
        return der(0x30, der(0x31, der(0x30, type, der(0x0c, common.getBytes(StandardCharsets.UTF_8)))));
    }

    /** An element of DER (X.690). */
    public static byte[] der(int tag, byte[]... parts) {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            content.writeBytes(part);
        }
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(tag);
        int length = content.size();
        if (length >= 0x100) {
            all.writeBytes(new byte[] {(byte) 0x82, (byte) (length >> 8)});
        } else if (length >= 0x80) {
            all.write(0x81);
        }
        all.write(length);
        all.writeBytes(content.toByteArray());
        return all.toByteArray();
    }
}

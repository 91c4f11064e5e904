package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.tools.TestAuthority;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import javax.security.auth.x500.X500Principal;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which certificates a name in an export's rules means. */
class CertificateNameTest {
    private static final Instant TOMORROW = Instant.now().plus(Duration.ofDays(1));
    private static final TestAuthority AUTHORITY = new TestAuthority("the authority");

    @TempDir
    private Path directory;

    private ClientIdentity client(String subject, String... names) throws IOException, CertificateException {
        byte[] file = Files.readAllBytes(
                AUTHORITY.issue(directory, "client", subject, TOMORROW, names).resolve("client-cert.pem"));
        X509Certificate certificate = (X509Certificate)
                CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(file));
        return new ClientIdentity(null, ClientIdentity.NOBODY, Set.of(), certificate);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "CN:backup-7 | true",
                "CN:backup-* | true",
                "CN:* | true",
                "CN:backup | false",
                "CN:Backup-7 | false",
                "CN:ackup-7 | false",
                "CN:backup.7 | false",
                "O:backup-7 | false",
                "subject:CN=backup-7 | true",
                "subject:CN=backup-7,O=Example | false",
                "DNS:one.storage.example | true",
                "DNS:*.Storage.example | true",
                "DNS:storage.example | false",
                "DNS:two.* | true",
                "IP:192.0.2.0/24 | true",
                "IP:192.0.2.8 | false",
                "IP:2001:db8::/32 | true",
                "URI:spiffe://example/* | true",
                "URI:spiffe://other/* | false",
                "EMAIL:ops@example | true",
                "EMAIL:*@other | false",
            })
    void aNameMeansTheCertificatesThatHaveIt(String rule, boolean meant) throws Exception {
        ClientIdentity client = client(
                "backup-7",
                "one.storage.example",
                "two.example",
                "192.0.2.7",
                "2001:db8::7",
                "spiffe://example/backup",
                "ops@example");
        assertThat(CertificateName.parse(rule).includes(client)).isEqualTo(meant);
    }

    @Test
    void whoHasNoCertificateIsNobody() {
        ClientIdentity client = new ClientIdentity(null, 0, Set.of(0), null);
        assertThat(CertificateName.parse("CN:*").includes(client)).isFalse();
    }

    /** A subject that has commas in a value is not one with more attributes. */
    @Test
    void valuesAreNotTakenForAttributes() throws Exception {
        ClientIdentity sly = client("x,O=Example+OU=y\\\"");
        assertThat(CertificateName.parse("O:Example").includes(sly)).isFalse();
        assertThat(CertificateName.parse("OU:*").includes(sly)).isFalse();
        assertThat(CertificateName.parse("subject:CN=x,O=Example").includes(sly))
                .isFalse();
        assertThat(SubjectName.values(new X500Principal("CN=\"x,O=Example+OU=y\",O=Gr\u00fc\u00dfe+OU=a,OU=b"), "OU"))
                .containsExactly("a", "b");
        assertThat(SubjectName.values(new X500Principal("CN=\"x,O=Example+OU=y\",O=Gr\u00fc\u00dfe+OU=a,OU=b"), "CN"))
                .containsExactly("x,O=Example+OU=y");
        assertThat(SubjectName.values(new X500Principal("CN=x,O=Gr\u00fc\u00dfe"), "O"))
                .containsExactly("Gr\u00fc\u00dfe");
    }

    @ParameterizedTest
    @ValueSource(strings = {"alice", "cn:alice", "CN:", "subject:CN=a*", "subject:alice", "IP:storage", "UID:7"})
    void whatIsNoNameIsRefused(String rule) {
        assertThatThrownBy(() -> CertificateName.parse(rule)).isInstanceOf(IllegalArgumentException.class);
    }
}

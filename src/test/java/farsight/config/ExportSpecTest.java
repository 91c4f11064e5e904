package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import farsight.backend.Settings;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExportSpecTest {
    @Test
    void aTypedNameIsABackendAndWhatItUnderstands() {
        assertThat(ExportSpec.parse("disk:/srv/a:b", Providers.SOME))
                .isEqualTo(new ExportSpec("disk", new Settings(Map.of("path", "/srv/a:b"))));
    }

    @Test
    void aNamedSpecEndsItsNameAtTheFirstEqualsSign() {
        assertThat(ExportSpec.parseNamed("a b=disk:/x=y", Providers.SOME))
                .isEqualTo(new ExportConfig("a b", "disk", new Settings(Map.of("path", "/x=y")), false, ""));
    }

    @ParameterizedTest
    @CsvSource(
            value = {
                "'' | export '' is not NAME=BACKEND:WHAT, such as disk=file:/srv/disk.img",
                "disk:/x | export 'disk:/x' is not NAME=BACKEND:WHAT, such as disk=file:/srv/disk.img",
                "=disk:/x | export '=disk:/x' is not NAME=BACKEND:WHAT, such as disk=file:/srv/disk.img",
                "a= | export 'a': '' is not BACKEND:WHAT, such as file:/srv/disk.img",
                "a=/x | export 'a': '/x' is not BACKEND:WHAT, such as file:/srv/disk.img",
                "a=dsik:/x | export 'a': no backend is called 'dsik'; did you mean 'disk'?",
                "a=zfs:x | export 'a': no backend is called 'zfs'; there are all, disk, net",
                "a=disk: | export 'a': 'disk:' needs a path",
                "a=all:x | export 'a': 'all:' takes nothing after the colon, not 'x'",
            },
            delimiter = '|')
    void whatIsNoSpecIsRefusedWithTheReason(String text, String message) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ExportSpec.parseNamed(text, Providers.SOME))
                .withMessage(message);
    }

    @Test
    void aNameIsAtMost4096BytesWithoutNul() {
        assertThat(ExportSpec.parseNamed("ä".repeat(2048) + "=disk:x", Providers.SOME)
                        .name())
                .hasSize(2048);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ExportSpec.parseNamed("ä".repeat(2049) + "=disk:x", Providers.SOME))
                .withMessageContaining("has 4098 bytes; shorten it to 4096 or less");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ExportSpec.parseNamed("a\0=disk:x", Providers.SOME))
                .withMessageContaining("NUL");
    }
}

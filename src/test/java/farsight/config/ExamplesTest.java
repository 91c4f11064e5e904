package farsight.config;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.BackendProvider;
import farsight.tools.Project;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;

/** The files of examples/ say what they are said to say. */
class ExamplesTest {
    private static Path example(String name) {
        return Project.ROOT.resolve("examples").resolve(name);
    }

    private static Map<String, BackendProvider> providers() {
        Map<String, BackendProvider> providers = new HashMap<>();
        ServiceLoader.load(BackendProvider.class).forEach(provider -> providers.put(provider.name(), provider));
        return providers;
    }

    @Test
    void theServerHasStorageToTypeAndOneExport() throws IOException {
        ServerConfig config = ServerConfig.load(example("server.toml"), providers());
        assertThat(config.listen())
                .containsExactly(
                        new ListenAddress.Tcp("localhost", 10809), new ListenAddress.Unix("/tmp/farsight.sock"));
        assertThat(config.backends()).containsOnlyKeys("memory", "file");
        assertThat(config.exports()).containsOnlyKeys("scratch");
    }

    @Test
    void theClientAttachesThatExport() throws IOException {
        ClientConfig config = ClientConfig.load(example("client.toml"), providers());
        assertThat(config.device().file()).isEqualTo("/dev/nbd0");
        assertThat(config.server()).isEqualTo(NbdUri.tcp("127.0.0.1", 10809, "scratch"));
    }

    @Test
    void theServerForCephHasItsSection() throws IOException {
        ServerConfig config = ServerConfig.load(example("server-rbd.toml"), providers());
        assertThat(config.listen()).containsExactly(new ListenAddress.Tcp("::", 10809));
        assertThat(config.limits().maxErrors()).isEqualTo(10);
        assertThat(config.backends().get("rbd").string("ceph_conf")).contains("/etc/ceph/ceph.conf");
        assertThat(config.backends().get("rbd").string("ceph_user")).contains("admin");
    }

    @Test
    void theClientForCephAsksForAnImageOfAPool() throws IOException {
        ClientConfig config = ClientConfig.load(example("client-rbd.toml"), providers());
        assertThat(config.exportName()).isEqualTo("rbd:rbd/disk");
        assertThat(config.device().blockSize()).isEqualTo(4096);
    }
}

import farsight.backend.BackendProvider;
import farsight.backend.file.FileProvider;
import farsight.backend.http.HttpProvider;
import farsight.backend.memory.MemoryProvider;
import farsight.backend.rbd.RbdProvider;

/**
 * Storage as Linux block devices over NBD. Exports the interface for storage and the embeddable client and server; all
 * else is internal.
 */
@SuppressWarnings("requires-automatic") // tomlj has no module descriptor
module farsight {
    requires info.picocli;
    requires java.logging;
    requires java.net.http;
    requires jdk.httpserver; // metrics
    requires jdk.jfr; // events
    requires jdk.unsupported; // signals
    requires org.tomlj;

    exports farsight.backend;
    exports farsight.client;
    exports farsight.server;

    opens farsight.cli to
            info.picocli;

    uses BackendProvider;

    provides BackendProvider with
            FileProvider,
            HttpProvider,
            MemoryProvider,
            RbdProvider;
}

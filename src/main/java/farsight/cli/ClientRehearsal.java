package farsight.cli;

import farsight.protocol.Nbd;
import farsight.protocol.RequestHeader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * {@code farsight rehearse-clients URI}: plain copies and questions in one process and nothing else, for the packaging to
 * see which classes those take. The export at the URI is written to.
 */
final class ClientRehearsal {
    private static final int BYTES = 1 << 20;

    private ClientRehearsal() {}

    static int run(String uri) throws Exception {
        Path image = Files.createTempFile("farsight-rehearsal", ".img");
        try {
            Files.write(image, new byte[BYTES]);
            // A server without extended headers, and one that is not there, take classes of their own.
            try (Arena arena = Arena.ofConfined()) {
                RequestHeader.write(arena.allocate(RequestHeader.SIZE), 0, 0, Nbd.NBD_CMD_READ, 0, 0, 0);
            }
            Main.run("info", "nbd+unix:///?socket=" + image + ".nobody");
            overTcp();
            return Main.run("info", uri)
                    | Main.run("copy", image.toString(), uri)
                    | Main.run("copy", uri, image.toString());
        } finally {
            Files.delete(image);
        }
    }

    /** To a server that goes at once: how to get there is what has classes of its own. */
    private static void overTcp() {
        InetAddress loopback = InetAddress.getLoopbackAddress();
        try (ServerSocket listener = new ServerSocket(0, 1, loopback)) {
            Thread server = new Thread(() -> {
                try {
                    listener.accept().close();
                } catch (IOException e) {
                    // Nobody came.
                }
            });
            server.setDaemon(true);
            server.start();
            Main.run("info", "nbd://" + loopback.getHostAddress() + ":" + listener.getLocalPort());
        } catch (IOException e) {
            // Where packages are made need not be a network.
        }
    }
}

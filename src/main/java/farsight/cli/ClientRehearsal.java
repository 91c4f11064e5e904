package farsight.cli;

import farsight.client.ClientSocket;
import farsight.client.DescriptorSocket;
import farsight.config.NbdUri;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.time.Duration;

/**
 * {@code farsight rehearse-client reader|writer URI FILE}: plain copies and questions in one process and nothing else, for
 * the packaging to see which classes those take. A reader replaces the file, a writer the export.
 */
final class ClientRehearsal {
    private static final Duration LIMIT = Duration.ofSeconds(1);

    private ClientRehearsal() {}

    static int run(String role, String uri, String file) throws Exception {
        boolean writer = role.equals("writer");
        connectOverTcp(writer);
        if (writer) {
            return Main.run("copy", file, uri);
        }
        return Main.run("info", uri) | Main.run("copy", uri, file);
    }

    /** Nobody answers there: how to get there is what has classes of its own. */
    private static void connectOverTcp(boolean writer) {
        InetAddress loopback = InetAddress.getLoopbackAddress();
        try (ServerSocketChannel listener = ServerSocketChannel.open()) {
            listener.bind(new InetSocketAddress(loopback, 0));
            int port = ((InetSocketAddress) listener.getLocalAddress()).getPort();
            NbdUri uri = NbdUri.parse("nbd://" + loopback.getHostAddress() + ":" + port);
            (writer ? DescriptorSocket.connect(uri, LIMIT) : ClientSocket.connect(uri, LIMIT)).close();
        } catch (IOException e) {
            // Where packages are made need not be a network.
        }
    }
}

package farsight.interop;

import farsight.tools.WireClient;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

/** The bytes of a handshake first in the clear and then over TLS, to send what no proper client would. */
final class TlsWire implements AutoCloseable {
    record Reply(int option, int type, byte[] data) {}

    private static final TrustManager EVERYBODY = new X509TrustManager() {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    };

    private final WireClient plain;
    private SSLSocket secure;
    private DataInputStream in;
    private OutputStream out;

    TlsWire(int port) throws IOException {
        plain = WireClient.tcp(port);
    }

    WireClient plain() {
        return plain;
    }

    /** TLS from here on, of any of these versions; any at all when none is named. */
    void handshake(String... versions) throws IOException {
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, new TrustManager[] {EVERYBODY}, null);
            secure = (SSLSocket)
                    context.getSocketFactory().createSocket(plain.socket().socket(), "localhost", 1, true);
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
        if (versions.length > 0) {
            secure.setEnabledProtocols(versions);
        }
        secure.startHandshake();
        in = new DataInputStream(secure.getInputStream());
        out = secure.getOutputStream();
    }

    void sendOption(int option, byte... data) throws IOException {
        out.write(ByteBuffer.allocate(16 + data.length)
                .putLong(0x49484156454f5054L)
                .putInt(option)
                .putInt(data.length)
                .put(data)
                .array());
    }

    void send(byte... bytes) throws IOException {
        out.write(bytes);
    }

    byte[] receive(int length) throws IOException {
        return in.readNBytes(length);
    }

    Reply reply() throws IOException {
        if (in.readLong() != 0x3e889045565a9L) {
            throw new AssertionError("wrong magic of an option reply");
        }
        int option = in.readInt();
        int type = in.readInt();
        return new Reply(option, type, in.readNBytes(in.readInt()));
    }

    @Override
    public void close() throws IOException {
        if (secure != null) {
            secure.close();
        }
        plain.close();
    }
}

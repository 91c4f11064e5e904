package farsight.server;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.util.HexFormat;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/**
 * What a fuzzer calls: all that a client says in one connection, to a server in this process that must answer or close,
 * without a mistake of its own and with nothing left behind. {@code GuidedFuzzTest} lets Jazzer guide it
 * by coverage; {@link FuzzTest} mutates the same corpus by chance.
 */
public final class ServerFuzz {
    /** Fits into a socket's buffer, so that it can be sent before anything is read. */
    static final int LONGEST = 8 << 10;

    private static final ConcurrentLinkedQueue<String> MISTAKES = new ConcurrentLinkedQueue<>();
    private static final Logger ROOT = Logger.getLogger("");
    private static final Sectors SECTORS = new Sectors(64 << 10, 4096, 1 << 20);
    private static final TestServer SERVER = serve();
    private static int calls;

    private ServerFuzz() {}

    private static TestServer serve() {
        for (Handler handler : ROOT.getHandlers()) {
            ROOT.removeHandler(handler); // every refused client would be a line
        }
        ROOT.addHandler(new Handler() {
            @Override
            public void publish(LogRecord entry) {
                if (entry.getLevel().intValue() >= Level.SEVERE.intValue()) {
                    MISTAKES.add(entry.getMessage() + " " + entry.getThrown());
                }
            }

            @Override
            public void flush() {}

            @Override
            public void close() {}
        });
        try {
            return new TestServer.Builder(Files.createTempDirectory("fuzz"))
                    .memory("disk", 64 << 10)
                    .device("blocks", SECTORS)
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** One client. */
    public static void fuzzerTestOneInput(byte[] input) throws IOException {
        if (input.length > LONGEST) {
            return;
        }
        try (SocketChannel channel = SERVER.connect()) {
            ByteBuffer bytes = ByteBuffer.wrap(input);
            ByteBuffer answers = ByteBuffer.allocate(64 << 10);
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.shutdownOutput();
            while (channel.read(answers.clear()) >= 0) {
                // until the server closes, which it must
            }
        } catch (IOException e) {
            // The server closed before it had read everything.
        }
        String mistake = MISTAKES.poll();
        if (mistake == null) {
            mistake = SECTORS.mistakes.poll();
        }
        if (mistake == null && ++calls % 1000 == 0) {
            try {
                nothingIsLeft();
            } catch (AssertionError e) {
                mistake = e.getMessage();
            }
        }
        if (mistake != null) {
            throw new AssertionError(
                    mistake + "; the client said " + HexFormat.of().formatHex(input));
        }
    }

    static void nothingIsLeft() {
        SERVER.awaitNothingInUse();
    }
}

package farsight.cli;

import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.Sockets;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The one connection of {@code farsight server --stdio}. Mostly standard input and output are one socket, which is served
 * as it is; when they are not, two threads carry bytes between them and a socket.
 */
final class StandardStreams {
    private static final int PIECE = 64 << 10;

    private final int socket;
    private final Thread output;

    private StandardStreams(int socket, Thread output) {
        this.socket = socket;
        this.output = output;
    }

    static StandardStreams open() throws ErrnoException {
        if (Sockets.isSocket(0)) {
            return new StandardStreams(0, null);
        }
        int[] pair = Sockets.pair();
        Thread.ofPlatform().name("standard-input").daemon(true).start(() -> carryIn(pair[1]));
        return new StandardStreams(
                pair[0],
                Thread.ofPlatform().name("standard-output").daemon(true).start(() -> carryOut(pair[1])));
    }

    /** The socket to serve. */
    int socket() {
        return socket;
    }

    /** Waits until what the server has sent is written. */
    void awaitEnd() throws InterruptedException {
        if (output != null) {
            output.join();
        }
    }

    private static void carryIn(int fd) {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open();
                InputStream in = new FileInputStream(FileDescriptor.in)) {
            MemorySegment memory = arena.allocate(PIECE);
            byte[] bytes = new byte[PIECE];
            int read;
            while ((read = in.read(bytes)) > 0) {
                MemorySegment.copy(bytes, 0, memory, ValueLayout.JAVA_BYTE, 0, read);
                for (long done = 0; done < read; ) {
                    long sent = Sockets.send(state, fd, memory.address() + done, read - done);
                    if (sent < 0 && sent != -Sockets.EINTR) {
                        return; // the server has ended the connection
                    }
                    done += Math.max(0, sent);
                }
            }
        } catch (IOException e) {
            // As good as the end of the stream.
        }
        Sockets.shutdownSending(fd);
    }

    private static void carryOut(int fd) {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open();
                OutputStream out = new FileOutputStream(FileDescriptor.out)) {
            MemorySegment memory = arena.allocate(PIECE);
            while (true) {
                long received = Sockets.receive(state, fd, memory.address(), PIECE);
                if (received == 0 || received < 0 && received != -Sockets.EINTR) {
                    return;
                }
                if (received > 0) {
                    out.write(memory.asSlice(0, received).toArray(ValueLayout.JAVA_BYTE));
                }
            }
        } catch (IOException e) {
            Sockets.shutdown(fd); // nobody reads: the client is gone
        }
    }
}

package farsight.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.bindings.linux.Linux;
import farsight.sys.CallState;
import farsight.sys.QuickCalls;
import farsight.sys.Sockets;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The way from a socket to a file within the kernel, and the one around files that cannot be written so. */
class SocketPipeTest {
    private static final int BYTES = 50_000;

    @TempDir
    Path directory;

    private final byte[] data = new byte[BYTES];
    private final SocketPipe pipe = new SocketPipe();
    private int[] sockets;

    @BeforeEach
    void fill() throws IOException {
        new Random(BYTES).nextBytes(data);
        sockets = Sockets.pair();
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_BYTE, data);
            assertThat(QuickCalls.send(state, sockets[0], memory.address(), BYTES, false))
                    .isEqualTo(BYTES);
        }
    }

    @AfterEach
    void close() {
        pipe.close();
        Arrays.stream(sockets).forEach(QuickCalls::close);
    }

    private void receive() {
        for (int done = 0; done < BYTES; ) {
            long n = pipe.receive(sockets[1], BYTES - done);
            assertThat(n).isPositive();
            done += (int) n;
        }
    }

    private void write(Path path, int flags) throws IOException {
        try (FileSide file = new FileSide(path.toString(), QuickCalls.open(path.toString(), flags), BYTES, true);
                CallState state = CallState.open()) {
            file.write(state, pipe, BYTES, 1000);
        }
    }

    @Test
    void whatASocketReceivesIsInTheFile() throws IOException {
        Path path = directory.resolve("file");
        receive();
        write(path, QuickCalls.READ_WRITE | QuickCalls.CREATE);
        byte[] written = Files.readAllBytes(path);
        assertThat(Arrays.copyOfRange(written, 1000, written.length)).isEqualTo(data);
        assertThat(pipe.usable()).isTrue();
    }

    /** The kernel refuses to splice to those that append, as to files of systems that have no way for it. */
    @Test
    void aFileThatTakesNothingFromPipesIsWrittenAllTheSame() throws IOException {
        Path path = directory.resolve("file");
        receive();
        write(path, QuickCalls.READ_WRITE | QuickCalls.CREATE | Linux.O_APPEND());
        assertThat(Files.readAllBytes(path)).isEqualTo(data); // pwrite(2) appends then, whatever the offset
        assertThat(pipe.usable()).as("for the next").isFalse();
    }

    @Test
    void aFailureTakesTheDataOutOfThePipe() throws IOException {
        Path path = Files.createFile(directory.resolve("file"));
        receive();
        assertThatThrownBy(() -> write(path, QuickCalls.READ_ONLY))
                .hasMessage(path + ": cannot be written: Bad file descriptor (EBADF)");
        assertThat(pipe.usable()).isFalse();
        try (CallState state = CallState.open();
                Arena arena = Arena.ofConfined()) {
            MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_BYTE, (byte) 77);
            QuickCalls.send(state, sockets[0], one.address(), 1, false);
            assertThat(pipe.receive(sockets[1], 10)).isEqualTo(1);
            pipe.read(one.fill((byte) 0));
            assertThat(one.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 77);
        }
    }

    @Test
    void whatIsNoSocketIsRefused() throws IOException {
        int directoryFd = QuickCalls.open(directory.toString(), QuickCalls.READ_ONLY);
        try {
            assertThat(pipe.receive(directoryFd, 10)).isEqualTo(-QuickCalls.EINVAL);
        } finally {
            QuickCalls.close(directoryFd);
        }
    }
}

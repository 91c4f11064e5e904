package farsight.client;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;

/** Copies a file or an export to a file or an export, several pieces at a time. */
public final class Copy {
    private static final int PIECE = 256 << 10;
    private static final int PIECES_AT_ONCE = 16;

    private Copy() {}

    /** One side of a copy. */
    private sealed interface Side extends AutoCloseable {
        long size() throws IOException;

        void read(MemorySegment target, long offset) throws IOException;

        void write(MemorySegment source, long offset) throws IOException;

        void flush() throws IOException;

        @Override
        void close() throws IOException;
    }

    private record Export(NbdClient client) implements Side {
        @Override
        public long size() {
            return client.size();
        }

        @Override
        public void read(MemorySegment target, long offset) throws IOException {
            client.read(target, offset);
        }

        @Override
        public void write(MemorySegment source, long offset) throws IOException {
            client.write(source, offset, false);
        }

        @Override
        public void flush() throws IOException {
            if (client.negotiated().canFlush()) {
                client.flush();
            }
        }

        @Override
        public void close() {
            client.close();
        }
    }

    private record File(Path path, FileChannel channel) implements Side {
        @Override
        public long size() throws IOException {
            return channel.size();
        }

        @Override
        public void read(MemorySegment target, long offset) throws IOException {
            ByteBuffer buffer = target.asByteBuffer();
            while (buffer.hasRemaining()) {
                if (channel.read(buffer, offset + buffer.position()) < 0) {
                    throw new IOException(path + ": became shorter while it was read");
                }
            }
        }

        @Override
        public void write(MemorySegment source, long offset) throws IOException {
            ByteBuffer buffer = source.asByteBuffer();
            while (buffer.hasRemaining()) {
                channel.write(buffer, offset + buffer.position());
            }
        }

        @Override
        public void flush() throws IOException {
            channel.force(false);
        }

        @Override
        public void close() throws IOException {
            channel.close();
        }
    }

    /**
     * Copies all of the source; what the target has beyond it stays.
     *
     * @param from a path or an nbd URI
     * @param to likewise; a file is made if it does not exist
     * @return bytes copied; they are stable
     * @throws IOException one line for people
     */
    public static long copy(String from, String to) throws IOException {
        try (Side source = open(from, false);
                Side target = open(to, true)) {
            long size = source.size();
            if (target instanceof Export && target.size() < size) {
                throw new IOException(to + ": has " + target.size() + " bytes, fewer than the " + size + " of " + from);
            }
            copy(source, target, size);
            target.flush();
            return size;
        }
    }

    private static Side open(String place, boolean write) throws IOException {
        if (place.startsWith("nbd")) {
            return new Export(NbdClient.connect(place));
        }
        Path path = Path.of(place);
        try {
            return new File(
                    path,
                    write
                            ? FileChannel.open(path, StandardOpenOption.WRITE, StandardOpenOption.CREATE)
                            : FileChannel.open(path, StandardOpenOption.READ));
        } catch (java.nio.file.NoSuchFileException e) {
            throw new IOException(place + ": no such file", e);
        }
    }

    private static void copy(Side source, Side target, long size) throws IOException {
        AtomicLong next = new AtomicLong();
        try (ExecutorService workers = Executors.newFixedThreadPool(PIECES_AT_ONCE)) {
            List<Future<?>> running = new ArrayList<>();
            for (int i = 0; i < PIECES_AT_ONCE; i++) {
                running.add(workers.submit(() -> {
                    copyPieces(source, target, size, next);
                    return null;
                }));
            }
            for (Future<?> worker : running) {
                worker.get();
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException cause) {
                throw cause;
            }
            throw new IOException(e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    private static void copyPieces(Side source, Side target, long size, AtomicLong next) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PIECE, 4096);
            for (long at = next.getAndAdd(PIECE); at < size; at = next.getAndAdd(PIECE)) {
                MemorySegment piece = buffer.asSlice(0, Math.min(PIECE, size - at));
                source.read(piece, at);
                target.write(piece, at);
            }
        } catch (IOException | RuntimeException e) {
            next.set(Long.MAX_VALUE / 2);
            throw e;
        }
    }
}

package farsight.client;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A regular file that a copy replaces, by the JDK's own calls: for programs that end within a second, like {@link
 * ChannelSocket}.
 */
final class NewFile extends CopySide implements WritableFile {
    private final RandomAccessFile file;
    private final FileChannel channel;
    private final long size;

    private NewFile(String place, RandomAccessFile file, long size) {
        super(place);
        this.file = file;
        channel = file.getChannel();
        this.size = size;
    }

    /** Whether what is there is replaced as a whole. */
    static boolean is(String place) {
        Path path = Path.of(place);
        return Files.isRegularFile(path) || Files.notExists(path);
    }

    /** One hole of that size. Null when that cannot be; whoever tries the other way is told why. */
    static NewFile open(String place, long size) {
        RandomAccessFile file = null;
        try {
            file = new RandomAccessFile(place, "rw");
            file.setLength(0);
            file.setLength(size);
            return new NewFile(place, file, size);
        } catch (IOException e) {
            close(file);
            return null;
        }
    }

    private static void close(RandomAccessFile fileOrNull) {
        if (fileOrNull != null) {
            try {
                fileOrNull.close();
            } catch (IOException e) {
                // Its data was made stable before, or is of no use.
            }
        }
    }

    @Override
    long size() {
        return size;
    }

    @Override
    int alignment() {
        return 1;
    }

    @Override
    Stretch stretch(long offset) {
        return new Stretch(false, size);
    }

    @Override
    void read(MemorySegment target, long offset) throws IOException {
        ByteBuffer bytes = target.asByteBuffer();
        while (bytes.hasRemaining()) {
            if (channel.read(bytes, offset + bytes.position()) < 0) {
                throw new IOException(place + ": became shorter while it was read");
            }
        }
    }

    @Override
    public FileWriter writer(MemorySegment zeroes) {
        return new Writer();
    }

    private final class Writer implements FileWriter {
        @Override
        public void write(Memory memory, int length, long offset) throws IOException {
            ByteBuffer bytes = memory.part(0, length);
            try {
                while (bytes.hasRemaining()) {
                    channel.write(bytes, offset + bytes.position());
                }
            } catch (IOException e) {
                throw failed("cannot be written", e);
            }
        }

        @Override
        public void zero(long offset, long length) {
            // It is a hole.
        }
    }

    private IOException failed(String what, IOException e) {
        return new IOException(place + ": " + what + ": " + e.getMessage(), e);
    }

    @Override
    void flush() throws IOException {
        try {
            channel.force(false);
        } catch (IOException e) {
            throw failed("cannot be made stable", e);
        }
    }

    @Override
    public void close() {
        close(file);
    }
}

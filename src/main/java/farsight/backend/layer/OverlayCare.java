package farsight.backend.layer;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What is done with the file of an overlay while nobody serves it. */
public final class OverlayCare {
    private OverlayCare() {}

    /**
     * What a file is.
     *
     * @param size bytes of the disk that it is part of
     * @param block bytes that are copied at a time
     * @param blocks how many of them it has
     * @param base what was below it when it was made
     */
    public record Info(long size, int block, long blocks, String base) {}

    /** @throws IOException with a message for people, also when a server uses it */
    public static Info info(String path) throws IOException {
        FileDisk disk = FileDisk.open(path, false, false);
        try (OverlayFile file = OverlayFile.open(disk, path, false)) {
            return new Info(file.size(), file.block(), file.count(), file.base());
        }
    }

    /** Forgets what was written, so that all is again as it is below. How many blocks that were. */
    public static long discard(String path) throws IOException {
        FileDisk disk = FileDisk.open(path, true, false);
        try (OverlayFile file = OverlayFile.open(disk, path)) {
            long blocks = file.count();
            file.clear();
            return blocks;
        }
    }

    /** What an overlay stands on, as far as a commit needs it. Whole transfers or an exception. */
    public interface Image {
        /** Bytes. */
        long size() throws IOException;

        /** @param source memory that any thread may use */
        void write(MemorySegment source, long offset) throws IOException;

        /** Makes everything so far stable. */
        void sync() throws IOException;
    }

    /** Like {@link #commit(String, String, Image)}, into a file or block device. */
    public static long commit(String path, String image) throws IOException {
        try (FileDisk base = FileDisk.open(image, true, false)) {
            return commit(path, image, base);
        }
    }

    /**
     * Writes what the overlay has into the image that it stands on, and empties it. What was cut short is done by another
     * call: the overlay is emptied after all is stable in the image. Until then the image alone is a mixture.
     *
     * @param name of the image, for messages
     * @return how many blocks that were
     */
    public static long commit(String path, String name, Image image) throws IOException {
        FileDisk disk = FileDisk.open(path, true, false);
        try (OverlayFile file = OverlayFile.open(disk, path)) {
            if (image.size() != file.size()) {
                throw OverlayFile.wrong(
                        name, "has " + image.size() + " bytes, and the overlay belongs over " + file.size());
            }
            return commit(file, image);
        }
    }

    static long commit(OverlayFile file, Image image) throws IOException {
        long blocks = file.count();
        try (Arena arena = Arena.ofShared()) {
            MemorySegment block = arena.allocate(file.block());
            for (long at = 0; at < file.size(); at += file.block()) {
                if (file.has(at / file.block())) {
                    MemorySegment content = block.asSlice(0, Math.min(file.block(), file.size() - at));
                    file.read(content, at);
                    image.write(content, at);
                }
            }
        }
        image.sync();
        file.clear();
        return blocks;
    }
}

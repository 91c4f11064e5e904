package farsight.backend.layer;

import farsight.backend.DeviceException;
import farsight.backend.Errno;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.zip.CRC32;

/**
 * The file of an overlay: a header, a bitmap with a bit for each block that it has, and the blocks at their places, so
 * that it is as sparse as what was written. A bit reaches the file only by a flush, and only after its block is stable:
 * whenever everything ends, a block is either that of the overlay or, if it was never flushed, still that of the base.
 * Bits are only ever set, so a bitmap that is written in part is right in all its parts.
 */
final class OverlayFile implements AutoCloseable {
    static final int HEADER = 4096;

    private static final long MAGIC = 0x4641525349474854L; // "FARSIGHT"
    private static final int VERSION = 1;
    private static final int PAGE = 4096;
    private static final int WORDS = PAGE / Long.BYTES;
    private static final int MOST_BASE = 1024;
    private static final int BASE_AT = 64;
    private static final long MOST_BLOCKS = 1L << 31;

    /** The header's last sector has its mark and its checksum, so that the mark changes in one piece. */
    private static final int LAST_SECTOR = HEADER - 512;

    private static final int MARK_AT = HEADER - 8;
    private static final int EMPTYING = 1;

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Disk disk;
    private final long size;
    private final int block;
    private final String base;
    private final long dataAt;
    private final AtomicLongArray bits;

    /** 1 for pages of the bitmap that have bits which the file has not. */
    private final AtomicIntegerArray unsaved;

    private final Object flushing = new Object();

    /** Why nothing can be made stable any more: the kernel tells of a failed write once, and then forgets it. */
    private IOException broken;

    private OverlayFile(Disk disk, long size, int block, String base) {
        this.disk = disk;
        this.size = size;
        this.block = block;
        this.base = base;
        long blocks = Math.ceilDiv(size, (long) block);
        int pages = Math.toIntExact(Math.max(1, Math.ceilDiv(blocks, PAGE * 8L)));
        bits = new AtomicLongArray(Math.multiplyExact(pages, WORDS));
        unsaved = new AtomicIntegerArray(pages);
        dataAt = Math.ceilDiv(HEADER + (long) pages * PAGE, (long) block) * block;
    }

    /** Opens one that is written, and makes it if there is none or if its making was cut short. */
    static OverlayFile openOrCreate(Disk disk, long size, int block, String base, String path) throws IOException {
        if (!unmade(disk)) {
            return open(disk, path);
        }
        if (!fits(size, block)) {
            throw wrong(path, "would have more than " + MOST_BLOCKS + " blocks; make block larger");
        }
        return create(disk, size, block, base);
    }

    /** A file grows past the header only after that is stable, so one that has not holds no block. */
    private static boolean unmade(Disk disk) throws IOException {
        long length = disk.size();
        if (length == 0 || length > HEADER) {
            return length == 0;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment start = arena.allocate(512);
            disk.read(start.asSlice(0, Math.min(length, start.byteSize())), 0);
            return start.get(LONG, 0) == MAGIC || start.mismatch(arena.allocate(512)) < 0;
        }
    }

    /** Makes one in an empty file. */
    private static OverlayFile create(Disk disk, long size, int block, String base) throws IOException {
        OverlayFile made = new OverlayFile(disk, size, block, base);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment header = arena.allocate(HEADER);
            byte[] name = base.getBytes(StandardCharsets.UTF_8);
            int length = Math.min(name.length, MOST_BASE);
            header.set(LONG, 0, MAGIC);
            header.set(INT, 8, VERSION);
            header.set(INT, 12, block);
            header.set(LONG, 16, size);
            header.set(INT, 24, length);
            MemorySegment.copy(name, 0, header, ValueLayout.JAVA_BYTE, BASE_AT, length);
            header.set(INT, HEADER - 4, checksum(header));
            disk.write(header, 0);
            disk.sync();
        }
        disk.truncate(made.dataAt + size);
        disk.sync();
        return made;
    }

    /** @param path for messages */
    static OverlayFile open(Disk disk, String path) throws IOException {
        return open(disk, path, true);
    }

    /** @param writable whether what was cut short may be finished; all else is only read */
    static OverlayFile open(Disk disk, String path, boolean writable) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment page = arena.allocate(PAGE);
            if (disk.size() >= HEADER) {
                disk.read(page, 0);
            }
            int block = page.get(INT, 12);
            long size = page.get(LONG, 16);
            int length = page.get(INT, 24);
            if (page.get(LONG, 0) != MAGIC || page.get(INT, HEADER - 4) != checksum(page)) {
                throw wrong(path, "is no overlay, or its header is damaged");
            }
            if (page.get(INT, 8) != VERSION) {
                throw wrong(path, "is an overlay of version " + page.get(INT, 8) + "; this program knows " + VERSION);
            }
            if (size < 0 || !validBlock(block) || !fits(size, block) || length < 0 || length > MOST_BASE) {
                throw wrong(path, "is no overlay: its header makes no sense");
            }
            byte[] name = page.asSlice(BASE_AT, length).toArray(ValueLayout.JAVA_BYTE);
            OverlayFile file = new OverlayFile(disk, size, block, new String(name, StandardCharsets.UTF_8));
            if (page.get(INT, MARK_AT) == EMPTYING) {
                file.finishEmptying(writable);
            } else {
                file.load(page, writable);
            }
            return file;
        }
    }

    static boolean validBlock(long block) {
        return Long.bitCount(block) == 1 && block >= 4096 && block <= 2 << 20;
    }

    /** Each block takes a bit of memory. */
    private static boolean fits(long size, int block) {
        return size / block < MOST_BLOCKS;
    }

    static DeviceException wrong(String path, String why) {
        return new DeviceException(Errno.EINVAL, path + ": " + why);
    }

    private static int checksum(MemorySegment header) {
        CRC32 crc = new CRC32();
        crc.update(header.asSlice(0, HEADER - 4).toArray(ValueLayout.JAVA_BYTE));
        return (int) crc.getValue();
    }

    /** A file whose making was cut short has a header and no more, which is an empty one. */
    private void load(MemorySegment page, boolean writable) throws IOException {
        long whole = dataAt + size;
        for (int number = 0; number < unsaved.length(); number++) {
            long at = HEADER + (long) number * PAGE;
            if (at + PAGE > disk.size()) {
                break;
            }
            disk.read(page, at);
            for (int word = 0; word < WORDS; word++) {
                bits.setPlain(number * WORDS + word, page.get(WORD, (long) word * Long.BYTES));
            }
        }
        if (writable && disk.size() < whole) {
            disk.truncate(whole);
        }
    }

    long size() {
        return size;
    }

    int block() {
        return block;
    }

    /** What the base said of itself when this was made. */
    String base() {
        return base;
    }

    // ---- blocks --------------------------------------------------------------------------------------------------

    boolean has(long index) {
        return (bits.getAcquire((int) (index >> 6)) >> index & 1) != 0;
    }

    /** The overlay has a block from now on, whose content was written before. */
    void add(long index) {
        bits.accumulateAndGet((int) (index >> 6), 1L << index, (word, bit) -> word | bit);
        unsaved.set((int) (index / (PAGE * 8L)), 1);
    }

    /** Bytes from {@code at} to {@code end} that are all in the overlay, or negative, all not. */
    long run(long at, long end) {
        long index = at / block;
        boolean had = has(index);
        long to = (index + 1) * block;
        while (to < end && has(to / block) == had) {
            to += block;
        }
        long length = Math.min(to, end) - at;
        return had ? length : -length;
    }

    /** Blocks that it has. */
    long count() {
        long count = 0;
        for (int word = 0; word < bits.length(); word++) {
            count += Long.bitCount(bits.get(word));
        }
        return count;
    }

    void read(MemorySegment target, long offset) throws IOException {
        disk.read(target, dataAt + offset);
    }

    void write(MemorySegment source, long offset) throws IOException {
        disk.write(source, dataAt + offset);
    }

    void punch(long offset, long length) throws IOException {
        disk.punch(dataAt + offset, length);
    }

    /** The next byte that is no hole; past {@code end} for none before it. */
    long data(long offset, long end) throws IOException {
        long at = disk.data(dataAt + offset);
        return at == Long.MAX_VALUE ? end : Math.min(end, at - dataAt);
    }

    /** The next byte of a hole, at most {@code end}. */
    long hole(long offset, long end) throws IOException {
        return Math.min(end, disk.hole(dataAt + offset) - dataAt);
    }

    // ---- stable --------------------------------------------------------------------------------------------------

    /** Makes all that was written stable: first the blocks, then the bits of those blocks. */
    void flush() throws IOException {
        synchronized (flushing) {
            if (broken != null) {
                throw new DeviceException(
                        Errno.EIO, "an earlier flush failed (" + broken.getMessage() + "); restart the server", broken);
            }
            try (Arena arena = Arena.ofConfined()) {
                List<Page> pages = snapshot(arena);
                disk.sync();
                for (Page page : pages) {
                    disk.write(page.content, HEADER + (long) page.number * PAGE);
                }
                if (!pages.isEmpty()) {
                    disk.sync();
                }
            } catch (IOException e) {
                broken = e;
                throw e;
            }
        }
    }

    private record Page(int number, MemorySegment content) {}

    /** The bits of now: their blocks are written, and so are stable after the sync that follows. */
    private List<Page> snapshot(Arena arena) {
        List<Page> pages = new ArrayList<>();
        for (int number = 0; number < unsaved.length(); number++) {
            if (unsaved.get(number) == 0) {
                continue;
            }
            unsaved.set(number, 0);
            MemorySegment content = arena.allocate(PAGE);
            for (int word = 0; word < WORDS; word++) {
                content.set(WORD, (long) word * Long.BYTES, bits.get(number * WORDS + word));
            }
            pages.add(new Page(number, content));
        }
        return pages;
    }

    /** Forgets all blocks or, when cut short, none or all: a mark comes first, and who finds it goes on. */
    void clear() throws IOException {
        mark(EMPTYING);
        empty();
        mark(0);
    }

    private void finishEmptying(boolean writable) throws IOException {
        if (writable) {
            empty();
            mark(0);
        }
    }

    private void mark(int value) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment header = arena.allocate(HEADER);
            disk.read(header, 0);
            header.set(INT, MARK_AT, value);
            header.set(INT, HEADER - 4, checksum(header));
            disk.write(header.asSlice(LAST_SECTOR), LAST_SECTOR);
        }
        disk.sync();
    }

    private void empty() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment page = arena.allocate(PAGE);
            for (int number = 0; number < unsaved.length(); number++) {
                disk.write(page, HEADER + (long) number * PAGE);
            }
        }
        disk.sync();
        for (int word = 0; word < bits.length(); word++) {
            bits.set(word, 0);
        }
        disk.truncate(dataAt);
        disk.truncate(dataAt + size);
        disk.sync();
    }

    @Override
    public void close() {
        disk.close();
    }
}

package farsight.backend.layer;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.zip.CRC32;

/**
 * A table of partitions by GUID (UEFI specification, 5.3). Its first copy has to be whole; the one at the end of the disk is
 * for tools that repair, because which of two different ones is meant is not for a server to guess.
 */
final class Gpt {
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final long MAGIC = 0x5452415020494645L; // "EFI PART"
    private static final int LEAST_HEADER = 92;
    private static final int LEAST_ENTRY = 128;
    private static final int MOST_ENTRY = 4096;
    private static final int MOST_TABLE = 1 << 20;

    private final Synchronous disk;
    private final Arena arena;
    private final int block;
    private final long blocks;
    private final MemorySegment header;

    private Gpt(Synchronous disk, Arena arena, int block) throws IOException {
        this.disk = disk;
        this.arena = arena;
        this.block = block;
        blocks = disk.size() / block;
        header = blocks < 2 ? arena.allocate(block) : read(1, block);
    }

    static PartitionTable.Range find(Synchronous disk, long number) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            for (int block = 512; block <= 4096; block *= 8) {
                Gpt table = new Gpt(disk, arena, block);
                if (table.header.get(LONG, 0) == MAGIC) {
                    return table.find(number);
                }
            }
            throw damaged("its header is not in the second block");
        }
    }

    private static IOException damaged(String why) {
        return PartitionLayer.wrong("the GPT is damaged: " + why + "; 'gdisk' repairs it from its copy");
    }

    private MemorySegment read(long first, long bytes) throws IOException {
        MemorySegment memory = arena.allocate(bytes);
        disk.read(memory, first * block);
        return memory;
    }

    private PartitionTable.Range find(long number) throws IOException {
        checkHeader();
        long count = Integer.toUnsignedLong(header.get(INT, 80));
        long each = Integer.toUnsignedLong(header.get(INT, 84));
        MemorySegment table = table(count, each);
        long index = number - 1;
        if (index < 0 || index >= count || !used(table, index * each)) {
            throw PartitionLayer.wrong("the GPT has no partition " + number);
        }
        long first = first(table, index * each);
        long last = last(table, index * each);
        checkPlace(number, first, last);
        for (long other = 0; other < count; other++) {
            long at = other * each;
            if (other != index && used(table, at) && first(table, at) <= last && last(table, at) >= first) {
                throw PartitionLayer.wrong("partitions " + number + " and " + (other + 1) + " of the GPT overlap");
            }
        }
        return new PartitionTable.Range(first * block, (last - first + 1) * block);
    }

    private void checkHeader() throws IOException {
        long length = Integer.toUnsignedLong(header.get(INT, 12));
        if (length < LEAST_HEADER || length > block) {
            throw damaged("its header says that it has " + length + " bytes");
        }
        MemorySegment copy = arena.allocate(length).copyFrom(header.asSlice(0, length));
        copy.set(INT, 16, 0);
        if (checksum(copy) != header.get(INT, 16)) {
            throw damaged("the checksum of its header is wrong");
        }
        if (header.get(LONG, 24) != 1) {
            throw damaged("its header belongs into block " + Long.toUnsignedString(header.get(LONG, 24)));
        }
    }

    private MemorySegment table(long count, long each) throws IOException {
        if (Long.bitCount(each) != 1 || each < LEAST_ENTRY || each > MOST_ENTRY) {
            throw damaged("its entries have " + each + " bytes");
        }
        if (count * each > MOST_TABLE) {
            throw damaged("it says that it has " + count + " entries");
        }
        long start = header.get(LONG, 72);
        if (start < 2 || start >= blocks || count * each > (blocks - start) * block) {
            throw damaged("its entries are not within the disk");
        }
        MemorySegment table = read(start, count * each);
        if (checksum(table) != header.get(INT, 88)) {
            throw damaged("the checksum of its entries is wrong");
        }
        return table;
    }

    private void checkPlace(long number, long first, long last) throws IOException {
        String place = "partition " + number + " of the GPT, blocks " + Long.toUnsignedString(first) + " to "
                + Long.toUnsignedString(last) + ", ";
        if (Long.compareUnsigned(last, first) < 0) {
            throw PartitionLayer.wrong(place + "ends before it begins");
        }
        if (Long.compareUnsigned(last, blocks) >= 0) {
            throw PartitionLayer.wrong(place + "is not within the disk, which has " + blocks);
        }
        if (first < header.get(LONG, 40) || last > header.get(LONG, 48)) {
            throw PartitionLayer.wrong(place + "is outside of the blocks that the table allows");
        }
    }

    private static int checksum(MemorySegment memory) {
        CRC32 crc = new CRC32();
        crc.update(memory.asByteBuffer());
        return (int) crc.getValue();
    }

    private static boolean used(MemorySegment table, long entry) {
        return (table.get(LONG, entry) | table.get(LONG, entry + 8)) != 0;
    }

    private static long first(MemorySegment table, long entry) {
        return table.get(LONG, entry + 32);
    }

    private static long last(MemorySegment table, long entry) {
        return table.get(LONG, entry + 40);
    }
}

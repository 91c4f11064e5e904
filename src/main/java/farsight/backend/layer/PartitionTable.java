package farsight.backend.layer;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Finds a partition in an MBR, with logical ones from 5 on, or in a {@link Gpt}. */
final class PartitionTable {
    /** A partition, in bytes. */
    record Range(long offset, long size) {}

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final int SECTOR = 512;
    private static final int TABLE = 446;
    private static final int ENTRY = 16;
    private static final int PROTECTIVE = 0xee;
    private static final int MOST_LOGICAL = 128;

    private final Synchronous disk;
    private final MemorySegment sector;

    private PartitionTable(Synchronous disk, Arena arena) {
        this.disk = disk;
        sector = arena.allocate(SECTOR);
    }

    static Range find(Synchronous disk, long number) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            PartitionTable table = new PartitionTable(disk, arena);
            table.read(0);
            for (int entry = 0; entry < 4; entry++) {
                if (table.type(entry) == PROTECTIVE) {
                    return Gpt.find(disk, number);
                }
            }
            return number >= 1 && number <= 4 ? table.primary((int) number - 1) : table.logical(number);
        }
    }

    private void read(long offset) throws IOException {
        if (offset > disk.size() - SECTOR) {
            throw PartitionLayer.wrong("there is no table of partitions: it would be past the end");
        }
        disk.read(sector, offset);
        if (sector.get(SHORT, SECTOR - 2) != (short) 0xaa55) {
            throw PartitionLayer.wrong(
                    offset == 0
                            ? "there is no table of partitions (no MBR, no GPT)"
                            : "the table of logical partitions at byte " + offset + " is damaged");
        }
    }

    private int type(int entry) {
        return Byte.toUnsignedInt(sector.get(ValueLayout.JAVA_BYTE, TABLE + (long) entry * ENTRY + 4));
    }

    private long first(int entry) {
        return Integer.toUnsignedLong(sector.get(INT, TABLE + (long) entry * ENTRY + 8)) * SECTOR;
    }

    private long length(int entry) {
        return Integer.toUnsignedLong(sector.get(INT, TABLE + (long) entry * ENTRY + 12)) * SECTOR;
    }

    private static boolean extended(int type) {
        return type == 5 || type == 0xf || type == 0x85;
    }

    private Range primary(int entry) throws IOException {
        if (type(entry) == 0 || length(entry) == 0) {
            throw PartitionLayer.wrong("the MBR has no partition " + (entry + 1));
        }
        return new Range(first(entry), length(entry));
    }

    /** Logical partitions are a chain of tables, each relative to the extended partition or to itself. */
    private Range logical(long number) throws IOException {
        long base = -1;
        for (int entry = 0; entry < 4 && base < 0; entry++) {
            base = extended(type(entry)) ? first(entry) : -1;
        }
        long at = base;
        for (long i = 5; at >= 0 && i < 5 + MOST_LOGICAL; i++) {
            read(at);
            if (i == number && length(0) > 0) {
                return new Range(at + first(0), length(0));
            }
            at = extended(type(1)) ? base + first(1) : -1;
        }
        throw PartitionLayer.wrong("the MBR has no partition " + number);
    }
}

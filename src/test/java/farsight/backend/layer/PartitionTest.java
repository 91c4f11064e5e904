package farsight.backend.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.tools.Commands;
import farsight.tools.Requires;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Partitions of disks as sfdisk makes them, and of disks that somebody made to do harm. */
class PartitionTest {
    private static final int SECTOR = 512;
    private static final int SIZE = 8 << 20;
    private static final int BLOCKS = SIZE / SECTOR;
    private static final String REPAIR = "; 'gdisk' repairs it from its copy";

    @TempDir
    Path directory;

    /** A disk on which every sector tells its number, with what sfdisk makes of a script. */
    private ByteBuffer disk(String label, String... parts) throws IOException {
        ByteBuffer content = ByteBuffer.allocate(SIZE).order(ByteOrder.LITTLE_ENDIAN);
        for (int sector = 0; sector < BLOCKS; sector++) {
            content.putInt(sector * SECTOR, sector);
        }
        Path path = Files.write(directory.resolve("disk"), content.array());
        Path script =
                Files.writeString(directory.resolve("script"), "label: " + label + "\n" + String.join("\n", parts));
        Commands.command(
                        "/bin/sh",
                        "-c",
                        "exec \"$1\" --quiet --no-reread --no-tell-kernel \"$2\" < \"$3\"",
                        "sh",
                        Requires.tool("sfdisk", "fdisk").toString(),
                        path.toString(),
                        script.toString())
                .run()
                .expectSuccess();
        return ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    }

    private ByteBuffer gpt() throws IOException {
        return disk("gpt", "start=2048, size=4096", "start=8192, size=1024", "start=10240, size=2048");
    }

    /** Sectors of a partition, by what is in its first and its last one. */
    private record Found(long first, long sectors) {}

    private Found find(ByteBuffer content, long number) throws IOException {
        Path path = Files.write(directory.resolve("opened"), content.array());
        AsyncBlockDevice below = LayersTest.file(path, content.capacity());
        try (Device device = LayersTest.over(below, "partition", Map.of("number", number));
                Arena arena = Arena.ofConfined()) {
            Synchronous partition = new Synchronous((AsyncBlockDevice) device);
            MemorySegment memory = arena.allocate(8);
            partition.read(memory.asSlice(0, 4), 0);
            partition.read(memory.asSlice(4, 4), device.size() - SECTOR);
            ByteBuffer read = memory.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
            assertThat(read.getInt(4) - read.getInt(0) + 1).isEqualTo((int) (device.size() / SECTOR));
            return new Found(read.getInt(0), device.size() / SECTOR);
        } catch (IOException | RuntimeException e) {
            below.close();
            throw e;
        }
    }

    private void refused(ByteBuffer content, long number, String why) {
        assertThatThrownBy(() -> find(content, number))
                .isInstanceOf(DeviceException.class)
                .hasMessage("layer partition: " + why);
    }

    /** Makes the checksums of a header and its entries right again, so that only what they cover is wrong. */
    private static void seal(ByteBuffer disk, int header, int block) {
        int entries = (int) disk.getLong(header + 72) * block;
        int length = disk.getInt(header + 80) * disk.getInt(header + 84);
        disk.putInt(header + 88, crc(disk, entries, length));
        sealHeader(disk, header);
    }

    private static void sealHeader(ByteBuffer disk, int header) {
        disk.putInt(header + 16, 0);
        disk.putInt(header + 16, crc(disk, header, disk.getInt(header + 12)));
    }

    private static int crc(ByteBuffer disk, int offset, int length) {
        CRC32 crc = new CRC32();
        crc.update(disk.slice(offset, length));
        return (int) crc.getValue();
    }

    @Test
    void whatSfdiskMadeIsFound() throws IOException {
        ByteBuffer disk = gpt();
        assertThat(find(disk, 1)).isEqualTo(new Found(2048, 4096));
        assertThat(find(disk, 2)).isEqualTo(new Found(8192, 1024));
        assertThat(find(disk, 3)).isEqualTo(new Found(10240, 2048));
        for (long none : new long[] {Long.MIN_VALUE, -1, 0, 4, 128, 129, 1L << 32, Long.MAX_VALUE}) {
            refused(disk, none, "the GPT has no partition " + none);
        }
        ByteBuffer old = disk("dos", "start=2048, size=4096, type=83", "start=8192, size=6000, type=5", "", "");
        assertThat(find(old, 1)).isEqualTo(new Found(2048, 4096));
        ByteBuffer logical = disk(
                "dos",
                "1: start=2048, size=4096, type=83",
                "2: start=8192, size=7000, type=5",
                "5: start=8200, size=1000, type=83",
                "6: start=10000, size=2000, type=83");
        assertThat(find(logical, 5)).isEqualTo(new Found(8200, 1000));
        assertThat(find(logical, 6)).isEqualTo(new Found(10000, 2000));
        refused(logical, 7, "the MBR has no partition 7");
    }

    @Test
    void blocksOf4096BytesAreTakenForWhatTheyAre() throws IOException {
        ByteBuffer from = gpt();
        ByteBuffer disk = gpt();
        disk.position(SECTOR).put(new byte[34 * SECTOR]);
        disk.put(4096, from.array(), SECTOR, SECTOR).put(8192, from.array(), 2 * SECTOR, 128 * 128);
        disk.putLong(4096 + 40, 6).putLong(4096 + 48, SIZE / 4096 - 6);
        disk.putLong(8192 + 32, 256).putLong(8192 + 40, 511);
        seal(disk, 4096, 4096);
        assertThat(find(disk, 1)).isEqualTo(new Found(256 * 8, 256 * 8));
        refused(
                disk,
                2,
                "partition 2 of the GPT, blocks 8192 to 9215, is not within the disk, which has " + SIZE / 4096);
    }

    // ---- damage --------------------------------------------------------------------------------------------------

    @Test
    void aWrongChecksumIsSaid() throws IOException {
        ByteBuffer header = gpt();
        header.put(SECTOR + 56, (byte) ~header.get(SECTOR + 56));
        refused(header, 1, "the GPT is damaged: the checksum of its header is wrong" + REPAIR);
        ByteBuffer entries = gpt();
        entries.put(2 * SECTOR + 5 * 128, (byte) 1);
        refused(entries, 1, "the GPT is damaged: the checksum of its entries is wrong" + REPAIR);
        ByteBuffer none = gpt();
        none.putLong(SECTOR, 0);
        refused(none, 1, "the GPT is damaged: its header is not in the second block" + REPAIR);
    }

    /** Whoever may write to the end of a disk does not thereby say where its partitions are. */
    @Test
    void aMadeUpBackupChangesNothing() throws IOException {
        ByteBuffer disk = gpt();
        int backup = SIZE - SECTOR;
        assertThat(disk.slice(backup, 8)).isEqualTo(ByteBuffer.wrap("EFI PART".getBytes(StandardCharsets.US_ASCII)));
        int entries = (int) disk.getLong(backup + 72) * SECTOR;
        disk.putLong(entries + 32, 34).putLong(entries + 40, 40);
        seal(disk, backup, SECTOR);
        assertThat(find(disk, 1)).isEqualTo(new Found(2048, 4096));
        disk.putLong(SECTOR + 24, BLOCKS - 1L);
        sealHeader(disk, SECTOR);
        refused(disk, 1, "the GPT is damaged: its header belongs into block " + (BLOCKS - 1) + REPAIR);
        disk.put(SECTOR, new byte[SECTOR]);
        refused(disk, 1, "the GPT is damaged: its header is not in the second block" + REPAIR);
    }

    // ---- harm ----------------------------------------------------------------------------------------------------

    private void harm(Consumer<ByteBuffer> change, long number, String why) throws IOException {
        ByteBuffer disk = gpt();
        change.accept(disk);
        sealHeader(disk, SECTOR);
        refused(disk, number, why);
    }

    private void harmInEntry(int entry, long first, long last, long number, String why) throws IOException {
        ByteBuffer disk = gpt();
        int at = 2 * SECTOR + (entry - 1) * 128;
        disk.putLong(at + 32, first).putLong(at + 40, last);
        seal(disk, SECTOR, SECTOR);
        refused(disk, number, why);
    }

    @Test
    void aHeaderThatAsksForTooMuchEndsWithOneLine() throws IOException {
        String damaged = "the GPT is damaged: ";
        harm(disk -> disk.putInt(SECTOR + 80, -1), 1, damaged + "it says that it has 4294967295 entries" + REPAIR);
        harm(disk -> disk.putInt(SECTOR + 80, 8193), 1, damaged + "it says that it has 8193 entries" + REPAIR);
        for (int each : new int[] {0, 1, 64, 127, 129, 192, 8192, -128, Integer.MIN_VALUE}) {
            String why = damaged + "its entries have " + Integer.toUnsignedLong(each) + " bytes" + REPAIR;
            harm(disk -> disk.putInt(SECTOR + 84, each), 1, why);
        }
        for (long entries : new long[] {-1, 0, 1, BLOCKS - 31, BLOCKS, 1L << 55, Long.MIN_VALUE, Long.MAX_VALUE}) {
            harm(
                    disk -> disk.putLong(SECTOR + 72, entries),
                    1,
                    damaged + "its entries are not within the disk" + REPAIR);
        }
        for (int length : new int[] {0, 16, 91, 513, -1}) {
            ByteBuffer disk = gpt();
            disk.putInt(SECTOR + 12, length);
            String said = "its header says that it has " + Integer.toUnsignedLong(length) + " bytes";
            refused(disk, 1, damaged + said + REPAIR);
        }
        harm(disk -> disk.putInt(SECTOR + 80, 0).putInt(SECTOR + 88, 0), 1, "the GPT has no partition 1");
    }

    @Test
    void aPartitionInTheWrongPlaceEndsWithOneLine() throws IOException {
        String second = "partition 2 of the GPT, blocks ";
        String beyond = ", is not within the disk, which has " + BLOCKS;
        harmInEntry(2, 9000, 8999, 2, second + "9000 to 8999, ends before it begins");
        harmInEntry(2, -1, 0, 2, second + "18446744073709551615 to 0, ends before it begins");
        harmInEntry(2, 8192, BLOCKS, 2, second + "8192 to " + BLOCKS + beyond);
        harmInEntry(2, 8192, -1, 2, second + "8192 to 18446744073709551615" + beyond);
        harmInEntry(2, 1L << 55, (1L << 55) + 5, 2, second + (1L << 55) + " to " + ((1L << 55) + 5) + beyond);
        harmInEntry(2, 1, 2, 2, second + "1 to 2, is outside of the blocks that the table allows");
        harmInEntry(
                2,
                12300,
                BLOCKS - 1,
                2,
                second + "12300 to " + (BLOCKS - 1) + ", is outside of the blocks that the table allows");
        harmInEntry(2, 6143, 6200, 2, "partitions 2 and 1 of the GPT overlap");
        harmInEntry(2, 6143, 6200, 1, "partitions 1 and 2 of the GPT overlap");
        harmInEntry(2, 9000, 10240, 3, "partitions 3 and 2 of the GPT overlap");
    }

    /** Whatever the table says, the outcome is a partition within the disk or a line about it. */
    @Test
    void randomTablesEndWithOneLineOrAPartitionWithinTheDisk() throws IOException {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        byte[] gpt = gpt().array();
        byte[] mbr = disk(
                        "dos",
                        "1: start=2048, size=4096, type=83",
                        "2: start=8192, size=7000, type=5",
                        "5: start=8200, size=1000, type=83")
                .array();
        long[] edges = {0, 1, 2, 34, BLOCKS - 1, BLOCKS, 1L << 31, -1, Long.MIN_VALUE, Long.MAX_VALUE};
        for (int round = 0; round < 1500; round++) {
            boolean old = random.nextInt(3) == 0;
            ByteBuffer disk = ByteBuffer.wrap((old ? mbr : gpt).clone()).order(ByteOrder.LITTLE_ENDIAN);
            int table = old ? random.nextBoolean() ? 446 : 8192 * SECTOR + 446 : SECTOR;
            for (int change = random.nextInt(4); change >= 0; change--) {
                int at = table + random.nextInt(old ? 64 : 88);
                int entry = 2 * SECTOR + random.nextInt(4) * 128 + random.nextInt(48);
                disk.putLong(old || random.nextBoolean() ? at : entry, edges[random.nextInt(edges.length)]);
            }
            int count = disk.getInt(SECTOR + 80);
            if (!old && disk.getLong(SECTOR + 72) == 2 && count >= 0 && count <= 128) {
                disk.putInt(SECTOR + 12, 92).putInt(SECTOR + 84, 128);
                seal(disk, SECTOR, SECTOR);
            }
            check(disk, old ? "old" : "new", 1 + random.nextInt(8), "seed " + seed + ", round " + round);
        }
    }

    /** Only what a round may have changed is written anew. */
    private void check(ByteBuffer disk, String name, long number, String what) throws IOException {
        Path path = directory.resolve(name);
        try (FileChannel channel =
                FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.READ)) {
            if (channel.size() == 0) {
                channel.write(disk.slice(0, SIZE));
            }
            channel.write(disk.slice(0, 34 * SECTOR), 0);
            channel.write(disk.slice(8192 * SECTOR, SECTOR), 8192L * SECTOR);
        }
        AsyncBlockDevice below = LayersTest.file(path, SIZE);
        try (Device partition = LayersTest.over(below, "partition", Map.of("number", number));
                Arena arena = Arena.ofConfined()) {
            assertThat(partition.size()).as(what).isBetween(1L, (long) SIZE);
            new Synchronous((AsyncBlockDevice) partition).read(arena.allocate(1), partition.size() - 1);
        } catch (DeviceException e) {
            assertThat(e).as(what).message().startsWith("layer partition: ").doesNotContain("\n");
            below.close();
        }
    }
}

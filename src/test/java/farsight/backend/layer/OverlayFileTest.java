package farsight.backend.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import farsight.backend.DeviceException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;

/** Files that are no overlays, or that somebody made to do harm, end with one line; what they hold stays as it is. */
class OverlayFileTest {
    private static final int BLOCK = 4096;
    private static final String SENSELESS = "cow: is no overlay: its header makes no sense";
    private static final String DAMAGED = "cow: is no overlay, or its header is damaged";

    private static byte[] overlay() throws IOException {
        Journal journal = Journal.of(new byte[0]);
        OverlayFile.openOrCreate(journal, 10 * BLOCK, BLOCK, "base", "cow").close();
        return journal.content();
    }

    private static void refused(byte[] content, String why) {
        Journal journal = Journal.of(content);
        assertThatThrownBy(() -> OverlayFile.openOrCreate(journal, 10 * BLOCK, BLOCK, "base", "cow"))
                .isInstanceOf(DeviceException.class)
                .hasMessage(why);
        assertThat(journal.content()).isEqualTo(content);
    }

    /** A header with something wrong in it and the right checksum. */
    private static void sealed(Consumer<ByteBuffer> change, String why) throws IOException {
        ByteBuffer content = ByteBuffer.wrap(overlay());
        change.accept(content);
        CRC32 crc = new CRC32();
        crc.update(content.slice(0, OverlayFile.HEADER - 4));
        content.putInt(OverlayFile.HEADER - 4, (int) crc.getValue());
        refused(content.array(), why);
    }

    @Test
    void aHeaderWithoutSenseIsSaid() throws IOException {
        for (long size : new long[] {-1, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 43, 1L << 60}) {
            sealed(header -> header.putLong(16, size), SENSELESS);
        }
        for (int block : new int[] {0, 1, -1, 2048, 4097, 4 << 20, Integer.MIN_VALUE}) {
            sealed(header -> header.putInt(12, block), SENSELESS);
        }
        for (int name : new int[] {-1, 1025, Integer.MAX_VALUE}) {
            sealed(header -> header.putInt(24, name), SENSELESS);
        }
        sealed(header -> header.putInt(8, 2), "cow: is an overlay of version 2; this program knows 1");
    }

    @Test
    void aFileOfSomebodyElseIsNotMadeAnOverlay() throws IOException {
        byte[] text = "a file that somebody needs\n".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
        refused(text, DAMAGED);
        refused(Arrays.copyOf(text, 4096), DAMAGED);
        refused(Arrays.copyOf(text, 1 << 20), DAMAGED);
        refused(new byte[4097], DAMAGED);
        byte[] flipped = overlay();
        flipped[100] ^= 1;
        refused(flipped, DAMAGED);
    }

    @Test
    void moreBlocksThanMemoryIsForAreRefusedWhenItIsMade() {
        Journal journal = Journal.of(new byte[0]);
        assertThatThrownBy(() -> OverlayFile.openOrCreate(journal, 1L << 50, BLOCK, "base", "cow"))
                .hasMessage("cow: would have more than 2147483648 blocks; make block larger");
        assertThat(journal.content()).isEmpty();
    }
}

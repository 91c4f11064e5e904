package farsight.client;

import farsight.protocol.Nbd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** An export that is copied from or to. */
final class NbdSide extends CopySide {
    /** How much is asked about at once: what a server says of it is held in memory. */
    private static final long STATUS = 64L << 30;

    final NbdClient client;
    private List<Extent> known = List.of();
    private int next;

    NbdSide(String place, NbdClient client) {
        super(place);
        this.client = client;
    }

    @Override
    long size() {
        return client.size();
    }

    @Override
    int alignment() {
        // "SHOULD constrain its requests to a minimum block size of 512", whoever serves them.
        return Math.max(512, client.negotiated().minimumBlock());
    }

    @Override
    Stretch stretch(long offset) throws IOException {
        if (!client.negotiated().hasAllocation()) {
            return new Stretch(false, size());
        }
        while (next < known.size() && known.get(next).end() <= offset) {
            next++;
        }
        if (next == known.size() || known.get(next).offset() > offset) {
            known = client.status(offset, Math.min(STATUS, size() - offset)).get(ClientOptions.ALLOCATION);
            next = 0;
            if (known == null) {
                throw new NbdException(place + ": the server told nothing of " + ClientOptions.ALLOCATION);
            }
        }
        Extent extent = known.get(next);
        return new Stretch(extent.isZero(), Math.min(extent.end(), size()));
    }

    @Override
    void read(MemorySegment target, long offset) throws IOException {
        long tail = target.byteSize() % client.negotiated().minimumBlock();
        long whole = target.byteSize() - tail;
        if (whole > 0) {
            client.read(target.asSlice(0, whole), offset);
        }
        if (tail > 0) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment block = block(arena, offset + whole);
                MemorySegment.copy(block, 0, target, whole, tail);
            }
        }
    }

    /** How much of so many bytes from the start on are whole blocks of the export. */
    long wholeBlocks(long bytes) {
        return bytes - bytes % client.negotiated().minimumBlock();
    }

    /** Changes the beginning of a block: what it has beyond that stays. */
    void writeBeginning(MemorySegment beginning, long offset) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment block = block(arena, offset);
            MemorySegment.copy(beginning, 0, block, 0, beginning.byteSize());
            client.write(block, offset, false);
        }
    }

    /** A block of the export, which may end before it. */
    private MemorySegment block(Arena arena, long offset) throws IOException {
        MemorySegment block = arena.allocate(Math.min(client.negotiated().minimumBlock(), size() - offset), 8);
        client.read(block, offset);
        return block;
    }

    @Override
    void flush() throws IOException {
        if (client.negotiated().has(Nbd.NBD_FLAG_SEND_FLUSH)) {
            client.flush();
        }
    }

    @Override
    public void close() {
        client.close();
    }
}

package farsight.client;

import farsight.protocol.Nbd;
import java.io.IOException;
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
        client.read(target, offset);
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

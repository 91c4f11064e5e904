package farsight.server;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Feature;
import farsight.backend.Request;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;

/** As large as a device can be, does nothing and remembers what it was asked. */
final class EndlessDevice implements AsyncBlockDevice {
    /** One question. */
    record Asked(Request.Command command, long offset, long length) {}

    final List<Asked> asked = new CopyOnWriteArrayList<>();
    private final long size;

    private final BlockSizes blocks;

    EndlessDevice(long size) {
        this(size, BlockSizes.ANY);
    }

    EndlessDevice(long size, BlockSizes blocks) {
        this.size = size;
        this.blocks = blocks;
    }

    @Override
    public BlockSizes blockSizes() {
        return blocks;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public Set<Feature> features() {
        return Set.of(Feature.FLUSH, Feature.TRIM, Feature.WRITE_ZEROES, Feature.CACHE, Feature.EXTENTS);
    }

    @Override
    public void submit(Request request) {
        asked.add(new Asked(request.command(), request.offset(), request.length()));
        switch (request.command()) {
            case READ -> request.buffer().fill((byte) 7);
            case EXTENTS -> {
                // The first third is a hole, so that lengths of extents are large, too.
                long hole = Math.max(1, request.length() / 3);
                if (request.extents().extent(hole, true, true) && hole < request.length()) {
                    request.extents().extent(Long.MAX_VALUE, false, false);
                }
            }
            default -> {}
        }
        request.complete();
    }
}

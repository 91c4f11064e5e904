package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Feature;
import farsight.backend.Request;
import java.io.IOException;
import java.util.Set;

/**
 * A layer that changes nothing, for those that change a little. It lends no memory, even when what is below would: all
 * requests have to come by here.
 */
abstract class PassThrough implements AsyncBlockDevice {
    final AsyncBlockDevice below;

    PassThrough(AsyncBlockDevice below) {
        this.below = below;
    }

    @Override
    public void submit(Request request) {
        below.submit(request);
    }

    @Override
    public void submitted() {
        below.submitted();
    }

    @Override
    public int completionDescriptor() {
        return below.completionDescriptor();
    }

    @Override
    public void reap() {
        below.reap();
    }

    @Override
    public long size() {
        return below.size();
    }

    @Override
    public Set<Feature> features() {
        return below.features();
    }

    @Override
    public boolean readOnly() {
        return below.readOnly();
    }

    @Override
    public BlockSizes blockSizes() {
        return below.blockSizes();
    }

    @Override
    public String description() {
        return below.description();
    }

    @Override
    public boolean lost() {
        return below.lost();
    }

    @Override
    public void whenLost(Runnable told) {
        below.whenLost(told);
    }

    @Override
    public void close() throws IOException {
        below.close();
    }
}

package farsight.backend.file;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Device;
import farsight.backend.Feature;
import farsight.backend.Request;
import farsight.loop.IoLoop;
import java.io.IOException;
import java.util.Set;

/** A device whose requests come from a loop, as they do in a server. Owns both. */
record OnLoop(IoLoop loop, AsyncBlockDevice device) implements AsyncBlockDevice {
    static Device of(IoLoop loop, Device device) {
        return new OnLoop(loop, (AsyncBlockDevice) device);
    }

    @Override
    public void submit(Request request) {
        loop.execute(() -> device.submit(request));
    }

    @Override
    public long size() {
        return device.size();
    }

    @Override
    public Set<Feature> features() {
        return device.features();
    }

    @Override
    public boolean readOnly() {
        return device.readOnly();
    }

    @Override
    public BlockSizes blockSizes() {
        return device.blockSizes();
    }

    @Override
    public void close() throws IOException {
        loop.close();
        device.close();
    }
}

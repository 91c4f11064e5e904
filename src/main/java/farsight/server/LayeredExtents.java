package farsight.server;

import farsight.backend.ExtentSink;

/** Takes what a storage tells once for two contexts: holes, and layers. Belongs to the request's owner. */
final class LayeredExtents implements ExtentSink {
    private ExtentWriter holes;
    private ExtentWriter layers;
    private boolean holesWanted;
    private boolean layersWanted;

    void begin(ExtentWriter forHoles, ExtentWriter forLayers) {
        holes = forHoles;
        layers = forLayers;
        holesWanted = true;
        layersWanted = true;
    }

    @Override
    public boolean extent(long length, boolean hole, boolean zero) {
        return extent(length, hole, zero, hole ? 0 : 1);
    }

    @Override
    public boolean extent(long length, boolean hole, boolean zero, int depth) {
        holesWanted = holesWanted && holes.extent(length, hole, zero);
        layersWanted = layersWanted && layers.extent(length, hole, zero, depth);
        return holesWanted || layersWanted;
    }
}

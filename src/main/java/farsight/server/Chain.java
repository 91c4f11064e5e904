package farsight.server;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockDevice;
import farsight.backend.Device;
import farsight.config.LayerConfig;
import java.io.IOException;
import java.util.List;

/** Storage with the layers that a configuration puts over it. Each sees any range of bytes of what is below it. */
@SuppressWarnings("exports") // public for the commands, which are in this module
public final class Chain {
    private Chain() {}

    /**
     * Puts layers over a device, which is closed with the last of them, or at once when one cannot be made.
     *
     * @param name of the export
     * @param layers from the device outward
     */
    public static Device over(String name, Device device, List<LayerConfig> layers) throws IOException {
        Device top = device;
        try {
            for (LayerConfig layer : layers) {
                AsyncBlockDevice below = bytewise(name, top);
                top = below;
                top = layer.layer().maker().over(below, layer.settings());
            }
            return top;
        } catch (IOException | RuntimeException e) {
            try {
                top.close();
            } catch (IOException second) {
                e.addSuppressed(second);
            }
            throw e;
        }
    }

    private static AsyncBlockDevice bytewise(String name, Device device) {
        AsyncBlockDevice async = switch (device) {
            case AsyncBlockDevice already -> already;
            case BlockDevice simple -> new BlockingAdapter(name, simple);
        };
        return device.blockSizes().minimum() > 1 ? new WholeBlocks(async) : async;
    }
}

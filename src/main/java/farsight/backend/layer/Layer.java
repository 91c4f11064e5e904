package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Device;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One kind of layer.
 *
 * @param name as configurations write it
 * @param settings its keys
 * @param maker puts it over storage that takes any range of bytes
 */
public record Layer(String name, List<Setting> settings, Maker maker) {

    /** Puts a layer over storage, which it closes when it is closed. May block; not on a loop. */
    @FunctionalInterface
    public interface Maker {
        /** @throws IOException with a message for people; what is below is then still open */
        Device over(AsyncBlockDevice below, Settings settings) throws IOException;
    }

    /** All that there are, by name. */
    public static final Map<String, Layer> ALL = all(
            new Layer("read_only", List.of(), (below, settings) -> new ReadOnlyLayer(below)),
            new Layer("partition", PartitionLayer.SETTINGS, PartitionLayer::over),
            new Layer("delay", DelayLayer.SETTINGS, DelayLayer::over),
            new Layer("rate", RateLayer.SETTINGS, RateLayer::over),
            new Layer("error", ErrorLayer.SETTINGS, ErrorLayer::over),
            new Layer("cache", CacheLayer.SETTINGS, CacheLayer::over),
            new Layer("overlay", OverlayLayer.SETTINGS, OverlayLayer::over));

    private static Map<String, Layer> all(Layer... layers) {
        Map<String, Layer> map = new LinkedHashMap<>();
        for (Layer layer : layers) {
            map.put(layer.name, layer);
        }
        return map;
    }

    /** Whether exports with it can tell which layer a block comes from. */
    public boolean tellsDepth() {
        return name.equals("overlay");
    }
}

package farsight.config;

import farsight.backend.Settings;
import farsight.backend.layer.Layer;
import java.util.ArrayList;
import java.util.List;

/**
 * A layer over an export's storage ({@code layers} of {@code [exports.NAME]}).
 *
 * @param layer which kind
 * @param settings values of its keys
 */
public record LayerConfig(Layer layer, Settings settings) {

    /** Those of an export, from its storage outward. */
    static List<LayerConfig> read(Section table) {
        List<LayerConfig> layers = new ArrayList<>();
        for (Section entry : table.tables("layers")) {
            String name = entry.string("layer", null);
            if (name == null) {
                if (!entry.has("layer")) {
                    entry.problem(entry.title() + " needs layer = \"...\": one of " + all());
                }
                continue;
            }
            Layer layer = Layer.ALL.get(name);
            if (layer == null) {
                String near = Suggestion.of(name, Layer.ALL.keySet())
                        .map(word -> "did you mean \"" + word + "\"?")
                        .orElse("there are " + all());
                entry.problem("layer", "no layer is called \"" + Values.shorten(name) + "\"; " + near);
                continue;
            }
            layers.add(new LayerConfig(layer, entry.settings(layer.settings())));
            entry.rejectUnknown();
        }
        return List.copyOf(layers);
    }

    private static String all() {
        return String.join(", ", Layer.ALL.keySet());
    }
}

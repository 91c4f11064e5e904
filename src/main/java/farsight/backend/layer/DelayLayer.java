package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Device;
import farsight.backend.Request;
import farsight.backend.Request.Command;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Makes requests later, by their commands. */
final class DelayLayer extends Held {
    static final List<Setting> SETTINGS = settings();

    private final long[] nanos = new long[Command.values().length];

    private DelayLayer(AsyncBlockDevice below, Settings settings) {
        super(below);
        for (Command command : Command.values()) {
            Duration time = settings.duration(Commands.name(command))
                    .or(() -> settings.duration("all"))
                    .orElse(Duration.ZERO);
            nanos[command.ordinal()] = time.toNanos();
        }
    }

    private static List<Setting> settings() {
        List<Setting> all = new ArrayList<>();
        all.add(Setting.optional("all", Setting.Type.DURATION, "how long every request waits"));
        for (Command command : Command.values()) {
            String name = Commands.name(command);
            all.add(Setting.optional(name, Setting.Type.DURATION, "how long each " + name + " waits"));
        }
        return List.copyOf(all);
    }

    static Device over(AsyncBlockDevice below, Settings settings) {
        return new DelayLayer(below, settings);
    }

    @Override
    long wait(Request request) {
        return nanos[request.command().ordinal()];
    }
}

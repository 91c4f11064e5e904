package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Request;
import farsight.backend.Request.Command;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/** Fails requests, for tests of what is above: some of them, by chance, and only while a file exists. */
final class ErrorLayer extends PassThrough {
    static final List<Setting> SETTINGS = List.of(
            Setting.optional(
                    "errno", Setting.Type.STRING, "the error: EIO (the default), EPERM, ENOMEM, EINVAL, ENOSPC"),
            Setting.optional("percent", Setting.Type.INTEGER, "how many of a hundred fail, 100 unless told"),
            Setting.optional("commands", Setting.Type.STRINGS, "which fail; all unless told"),
            Setting.optional("file", Setting.Type.STRING, "requests fail only while this file exists"));

    private static final Map<String, Integer> ERRORS = Map.of(
            "EIO", Errno.EIO,
            "EPERM", Errno.EPERM,
            "ENOMEM", Errno.ENOMEM,
            "EINVAL", Errno.EINVAL,
            "ENOSPC", Errno.ENOSPC,
            "ENOTSUP", Errno.ENOTSUP,
            "ESHUTDOWN", Errno.ESHUTDOWN);

    private final int errno;
    private final long percent;
    private final Set<Command> commands;

    /** Null for always. */
    private final Path trigger;

    private ErrorLayer(AsyncBlockDevice below, int errno, long percent, Set<Command> commands, Path trigger) {
        super(below);
        this.errno = errno;
        this.percent = percent;
        this.commands = commands;
        this.trigger = trigger;
    }

    static Device over(AsyncBlockDevice below, Settings settings) throws IOException {
        String name = settings.string("errno").orElse("EIO");
        Integer errno = ERRORS.get(name);
        long percent = settings.number("percent").orElse(100);
        if (errno == null) {
            throw new DeviceException(
                    Errno.EINVAL,
                    "layer error: errno \"" + name + "\" is none of " + String.join(", ", ERRORS.keySet()));
        }
        if (percent < 0 || percent > 100) {
            throw new DeviceException(Errno.EINVAL, "layer error: percent is " + percent + "; it is from 0 to 100");
        }
        try {
            Set<Command> commands = Commands.named(settings.strings("commands"));
            Path trigger = settings.string("file").map(Path::of).orElse(null);
            return new ErrorLayer(below, errno, percent, commands, trigger);
        } catch (IllegalArgumentException e) {
            throw new DeviceException(Errno.EINVAL, "layer error: " + e.getMessage(), e);
        }
    }

    @Override
    public void submit(Request request) {
        if (commands.contains(request.command())
                && (percent == 100 || ThreadLocalRandom.current().nextInt(100) < percent)
                && (trigger == null || Files.exists(trigger))) {
            request.fail(errno);
        } else {
            below.submit(request);
        }
    }
}

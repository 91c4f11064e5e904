package farsight.backend.file;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** {@code file:disk.img}: a regular file or a block device. */
public final class FileProvider implements BackendProvider {
    @Override
    public String name() {
        return "file";
    }

    @Override
    public String description() {
        return "a file or block device";
    }

    @Override
    public List<Setting> serverSettings() {
        return List.of(Setting.optional(
                "root",
                Setting.Type.STRING,
                "the directory that clients' names stay in; without it they can name no file themselves"));
    }

    @Override
    public List<Setting> exportSettings() {
        return List.of(
                Setting.required("path", Setting.Type.STRING, "the file or block device"),
                Setting.optional("size", Setting.Type.SIZE, "how large it must be, or is made"),
                Setting.optional("create", Setting.Type.BOOLEAN, "make the file, sparse, if it does not exist"),
                Setting.optional("direct", Setting.Type.BOOLEAN, "go past the page cache (O_DIRECT)"),
                Setting.optional("read_only", Setting.Type.BOOLEAN, "refuse writes"));
    }

    @Override
    public Settings parse(String spec) {
        if (spec.isEmpty() || spec.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("'file:' needs a path after the colon, such as file:disk.img");
        }
        return new Settings(Map.of("path", spec));
    }

    @Override
    public String format(Settings export) {
        return export.string("path").orElseThrow();
    }

    @Override
    public Backend configure(Settings server) throws IOException {
        return new FileBackend(server.string("root").orElse(null));
    }
}

package ramdisk;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.util.List;

/** Gives it a name and its one key. */
public final class RamDiskProvider implements BackendProvider {
    @Override
    public String name() {
        return "ramdisk";
    }

    @Override
    public List<Setting> exportSettings() {
        return List.of(Setting.required("size", Setting.Type.SIZE, "how large the disk is"));
    }

    @Override
    public Backend configure(Settings server) {
        return export ->
                new RamDisk(new byte[Math.toIntExact(export.number("size").orElseThrow())]);
    }
}

package farsight.backend.file;

import farsight.backend.BackendContract;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.sys.LoopDevice;
import farsight.tools.Requires;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

/** On a block device. */
class LoopDeviceTest extends BackendContract {
    @TempDir
    Path directory;

    private LoopDevice loop;

    @Override
    protected Device open() throws IOException {
        Requires.root();
        Requires.that(Files.exists(Path.of("/dev/loop-control")), "loop devices", "modprobe loop");
        Path file = directory.resolve("loop.img");
        try (RandomAccessFile backing = new RandomAccessFile(file.toFile(), "rw")) {
            backing.setLength(SIZE);
        }
        loop = LoopDevice.attach(file.toString());
        return new FileProvider().configure(Settings.NONE).open(new Settings(Map.of("path", loop.path())));
    }

    @AfterEach
    void detach() throws IOException {
        if (loop != null) {
            loop.close();
        }
    }
}

package farsight.backend.file;

import farsight.backend.BackendContract;
import farsight.backend.Device;
import farsight.backend.Settings;
import farsight.loop.EpollLoop;
import farsight.loop.IoLoop;
import farsight.loop.LoopOptions;
import farsight.loop.UringLoop;
import farsight.sys.ErrnoException;
import farsight.sys.LoopDevice;
import farsight.sys.Uring;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.io.TempDir;

/** Files and block devices whose requests come from loops of both kinds: the ring does them, or the page cache first. */
class FileOnLoopsTest {
    private static Device open(Map<String, Object> settings) throws IOException {
        return new FileProvider().configure(Settings.NONE).open(new Settings(settings));
    }

    private static Map<String, Object> image(Path directory, boolean direct) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("path", directory + "/disk.img");
        settings.put("create", true);
        settings.put("direct", direct);
        settings.put("size", 8L << 20);
        return settings;
    }

    private static IoLoop ring() throws IOException {
        try {
            new Uring(8).close();
        } catch (ErrnoException e) {
            Requires.that(false, "io_uring", e.getMessage());
        }
        return new UringLoop("test", LoopOptions.of(1 << 20));
    }

    private static IoLoop patient(IoLoop loop) {
        loop.execute(() -> loop.mayWait(true));
        return loop;
    }

    @Nested
    class OnEpoll extends BackendContract {
        @TempDir
        Path directory;

        @Override
        protected Device open() throws IOException {
            return OnLoop.of(
                    new EpollLoop("test", LoopOptions.of(1 << 20)), FileOnLoopsTest.open(image(directory, false)));
        }
    }

    @Nested
    class OnRing extends BackendContract {
        @TempDir
        Path directory;

        @Override
        protected Device open() throws IOException {
            return OnLoop.of(ring(), FileOnLoopsTest.open(image(directory, false)));
        }
    }

    /** Whole pages are written by the loop itself. */
    @Nested
    class AtOnceOnEpoll extends BackendContract {
        @TempDir
        Path directory;

        @Override
        protected Device open() throws IOException {
            return OnLoop.of(
                    patient(new EpollLoop("test", LoopOptions.of(1 << 20))),
                    FileOnLoopsTest.open(image(directory, false)));
        }
    }

    @Nested
    class AtOnceOnRing extends BackendContract {
        @TempDir
        Path directory;

        @Override
        protected Device open() throws IOException {
            return OnLoop.of(patient(ring()), FileOnLoopsTest.open(image(directory, false)));
        }
    }

    @Nested
    class DirectOnRing extends BackendContract {
        @TempDir
        Path directory;

        @Override
        protected Device open() throws IOException {
            return OnLoop.of(ring(), FileOnLoopsTest.open(image(directory, true)));
        }
    }

    @Nested
    class BlockDeviceOnRing extends BackendContract {
        @TempDir
        Path directory;

        private LoopDevice attached;

        @Override
        protected Device open() throws IOException {
            Requires.root();
            Requires.that(java.nio.file.Files.exists(Path.of("/dev/loop-control")), "loop devices", "modprobe loop");
            FileOnLoopsTest.open(image(directory, false)).close();
            attached = LoopDevice.attach(directory + "/disk.img");
            return OnLoop.of(ring(), FileOnLoopsTest.open(Map.of("path", attached.path())));
        }

        @AfterEach
        void detach() throws IOException {
            if (attached != null) {
                attached.close();
            }
        }
    }
}

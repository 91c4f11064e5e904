package farsight.device;

import farsight.sys.FileLock;
import java.io.IOException;
import java.io.Reader;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.Properties;

/** Where each attached device has a file of what is known of it, and a lock of the process that looks after it. */
public record RunDirectory(Path path) {
    /** The system's. It is empty after a boot, as the devices are. */
    public static final RunDirectory SYSTEM = new RunDirectory(Path.of("/run/farsight"));

    private static final String ASKED = ".detach";
    private static final String NEXT = ".new";

    /**
     * Becomes the one that looks after a device, until the lock is closed or this process ends. What one that was
     * killed had begun to write is cleared away.
     *
     * @return empty when somebody else does
     */
    Optional<FileLock> lock(String device) throws IOException {
        try {
            Files.createDirectories(path);
            Optional<FileLock> lock =
                    FileLock.tryLock(path.resolve(device + ".lock").toString());
            if (lock.isPresent()) {
                Files.deleteIfExists(path.resolve(device + NEXT));
            }
            return lock;
        } catch (IOException e) {
            throw new IOException(
                    "cannot keep the state of " + device + " in " + path + " (" + e.getMessage() + "); run as root", e);
        }
    }

    /** What is known of a device; empty when nothing is, or the file is damaged. */
    public Optional<DeviceState> state(String device) {
        try (Reader reader = Files.newBufferedReader(path.resolve(device))) {
            Properties all = new Properties();
            all.load(reader);
            return Optional.of(DeviceState.of(all));
        } catch (IOException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** Replaces the file as a whole, so that nobody reads half of it. */
    void store(DeviceState state) throws IOException {
        Path next = path.resolve(state.device() + NEXT);
        try (Writer writer = Files.newBufferedWriter(next)) {
            state.properties().store(writer, null);
        }
        Files.move(next, path.resolve(state.device()), StandardCopyOption.ATOMIC_MOVE);
    }

    void forget(String device) throws IOException {
        Files.deleteIfExists(path.resolve(device));
        Files.deleteIfExists(path.resolve(device + NEXT));
        Files.deleteIfExists(path.resolve(device + ASKED));
    }

    /** Tells the process that looks after a device that its end, which comes now, is wanted. */
    void askDetach(String device, long process) throws IOException {
        Files.writeString(path.resolve(device + ASKED), Long.toString(process));
    }

    /** Whether that was told to a process. */
    boolean detachAsked(String device, long process) {
        try {
            return Files.readString(path.resolve(device + ASKED)).equals(Long.toString(process));
        } catch (IOException e) {
            return false; // nobody asked
        }
    }
}

package farsight.device;

import farsight.sys.ErrnoException;
import farsight.sys.Files;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Path;
import java.util.Optional;

/** Who uses a device: while somebody does, it is not taken away. */
final class DeviceUse {
    private DeviceUse() {}

    /**
     * What stands against detaching a device; empty when it is idle.
     *
     * @param client the process that looks after the device, which may have it open
     */
    static Optional<String> of(DeviceFile file, Optional<Long> client) {
        if (RunDirectory.SYSTEM
                .state(file.name())
                .filter(state -> client.filter(pid -> pid == state.pid()).isPresent() && isWithoutServer(state))
                .isPresent()) {
            return Optional.of("without a connection to its server");
        }
        try {
            // Refused while a file system, swap, device mapper or RAID has claimed the device or a partition of it.
            Files.close(Files.open(file.path().toString(), Files.READ_ONLY | Files.EXCLUSIVE));
        } catch (ErrnoException e) {
            return e.errno() == farsight.sys.NbdDevice.EBUSY
                    ? Optional.of(mount(file)
                            .map(where -> "mounted on " + where)
                            .orElse("mounted, or claimed as swap or by another block device"))
                    : Optional.empty(); // no node, or no medium: nobody can be using that
        }
        return opener(file, client);
    }

    /** Whether opening the device could take as long as its server does to come back. */
    static boolean isWithoutServer(DeviceState state) {
        return state.attach().equals("netlink") && state.alive() == 0;
    }

    private static Optional<String> mount(DeviceFile file) {
        try {
            return java.nio.file.Files.readAllLines(Path.of("/proc/self/mounts")).stream()
                    .map(line -> line.split(" "))
                    .filter(words -> words.length > 1 && isOf(file, words[0]))
                    .map(words -> words[1])
                    .findFirst();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** A process with an open descriptor. The kernel does not tell, so all have to be looked at. */
    private static Optional<String> opener(DeviceFile file, Optional<Long> client) {
        String own = Long.toString(ProcessHandle.current().pid());
        String excepted = client.map(String::valueOf).orElse(own);
        try (DirectoryStream<Path> processes = java.nio.file.Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path process : processes) {
                String pid = process.getFileName().toString();
                if (!pid.equals(own) && !pid.equals(excepted) && hasOpen(process, file)) {
                    return Optional.of("open in process " + pid);
                }
            }
        } catch (IOException e) {
            return Optional.empty();
        }
        return Optional.empty();
    }

    private static boolean hasOpen(Path process, DeviceFile file) {
        try (DirectoryStream<Path> descriptors = java.nio.file.Files.newDirectoryStream(process.resolve("fd"))) {
            for (Path descriptor : descriptors) {
                if (isOf(file, target(descriptor))) {
                    return true;
                }
            }
        } catch (IOException | java.nio.file.DirectoryIteratorException e) {
            return false; // it has just ended, or is not ours to look at
        }
        return false;
    }

    private static String target(Path descriptor) {
        try {
            return java.nio.file.Files.readSymbolicLink(descriptor).toString();
        } catch (IOException e) {
            return ""; // closed in between
        }
    }

    /** The device itself or a partition. */
    private static boolean isOf(DeviceFile file, String path) {
        String device = file.path().toString();
        return path.startsWith(device) && path.substring(device.length()).matches("(p\\d+)?");
    }
}

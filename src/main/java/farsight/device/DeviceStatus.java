package farsight.device;

import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What can be said of a device that is attached, by whomever.
 *
 * @param device its path
 * @param uri where the export is, if one of our clients attached it
 * @param backend what the kernel shows as the storage behind it; empty before Linux 5.14 and for other clients
 * @param attach {@code netlink} or {@code ioctl}, if one of our clients attached it
 * @param size bytes
 * @param readOnly whether it refuses writes
 * @param connections that the kernel has room for
 * @param alive connections that live, if a process looks after the device
 * @param reconnects how often connections were replaced
 * @param process that looks after the device, if there is one
 * @param traffic since the device was there
 */
public record DeviceStatus(
        String device,
        Optional<String> uri,
        Optional<String> backend,
        Optional<String> attach,
        long size,
        boolean readOnly,
        int connections,
        Optional<Integer> alive,
        long reconnects,
        Optional<Long> process,
        Traffic traffic) {
    private static final int SECTOR = 512;

    /** Requests that the kernel completed, and their bytes. */
    public record Traffic(
            long reads,
            long bytesRead,
            long writes,
            long bytesWritten,
            long discards,
            long bytesDiscarded,
            long flushes,
            long inFlight) {

        /** Documentation/block/stat.rst; the older a kernel, the fewer of the later fields. */
        static Traffic of(String stat) {
            String[] fields = stat.strip().split("\\s+");
            return new Traffic(
                    field(fields, 0),
                    field(fields, 2) * SECTOR,
                    field(fields, 4),
                    field(fields, 6) * SECTOR,
                    field(fields, 11),
                    field(fields, 13) * SECTOR,
                    field(fields, 15),
                    field(fields, 8));
        }

        private static long field(String[] fields, int index) {
            return index < fields.length && fields[index].matches("\\d{1,18}") ? Long.parseLong(fields[index]) : 0;
        }
    }

    /** All devices that are attached, in the order of their numbers. */
    public static List<DeviceStatus> all() throws IOException {
        List<DeviceStatus> all = new ArrayList<>();
        for (DeviceFile file : DeviceFile.all()) {
            file.owner().ifPresent(owner -> all.add(of(file, owner)));
        }
        return all;
    }

    private static DeviceStatus of(DeviceFile file, String owner) {
        // What is left of a client that was killed may be about an earlier attachment.
        Optional<DeviceState> state = RunDirectory.SYSTEM.state(file.name()).filter(known -> known.isAbout(owner));
        Optional<DeviceState> attended = state.filter(DeviceState::attended);
        return new DeviceStatus(
                file.path().toString(),
                state.map(DeviceState::uri),
                file.backend(),
                state.map(DeviceState::attach),
                file.size(),
                shown(file, "ro").strip().equals("1"),
                state.map(DeviceState::connections).orElseGet(file::queues),
                attended.map(DeviceState::alive),
                state.map(DeviceState::reconnects).orElse(0L),
                attended.map(DeviceState::pid),
                Traffic.of(shown(file, "stat")));
    }

    private static String shown(DeviceFile file, String name) {
        try {
            return Files.readString(file.sysfs().resolve(name));
        } catch (IOException e) {
            return ""; // detached in between
        }
    }
}

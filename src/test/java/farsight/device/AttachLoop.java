package farsight.device;

import farsight.config.ClientConfig;
import farsight.config.DeviceConfig;
import farsight.config.NbdUri;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.stream.Stream;

/** Run in the guest of nbd-kernel: attaches and detaches one device many times and prints the medians. */
public final class AttachLoop {
    private AttachLoop() {}

    /** @param args URI, number of rounds, device, kind of attachment */
    public static void main(String[] args) throws IOException {
        int rounds = Integer.parseInt(args[1]);
        DeviceFile device = new DeviceFile(Path.of(args[2]));
        DeviceConfig preset = DeviceConfig.DEFAULT;
        ClientConfig config = new ClientConfig(
                new DeviceConfig(
                        args[2],
                        DeviceConfig.Attach.valueOf(args[3]),
                        4096,
                        2,
                        preset.timeout(),
                        preset.deadTimeout(),
                        preset.reconnect(),
                        false,
                        false,
                        preset.resizePoll()),
                NbdUri.parse(args[0]));
        long[] attach = new long[rounds];
        long[] detach = new long[rounds];
        byte[] block = new byte[4096];
        Attachment.attach(config).close(); // what is opened once, such as the classes' own files
        long descriptors = descriptors();
        for (int i = 0; i < rounds; i++) {
            long start = System.nanoTime();
            Attachment attachment = Attachment.attach(config);
            attach[i] = System.nanoTime() - start;
            Arrays.fill(block, (byte) i);
            Files.write(device.path(), block, StandardOpenOption.WRITE);
            start = System.nanoTime();
            attachment.close();
            detach[i] = System.nanoTime() - start;
            if (device.owner().isPresent() || device.size() != 0) {
                throw new IOException("round " + i + ": the device is not free");
            }
        }
        System.out.printf(
                "%s: %d times, medians: attach %.1f ms, detach %.1f ms; worst: %.1f ms, %.1f ms%n",
                args[3], rounds, median(attach), median(detach), worst(attach), worst(detach));
        System.out.println("leaked=" + (descriptors() - descriptors));
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static long descriptors() throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.count();
        }
    }

    private static double median(long[] nanos) {
        return Arrays.stream(nanos).sorted().skip(nanos.length / 2).findFirst().orElseThrow() / 1e6;
    }

    private static double worst(long[] nanos) {
        return Arrays.stream(nanos).max().orElseThrow() / 1e6;
    }
}

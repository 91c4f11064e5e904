package farsight.device;

import farsight.config.NbdUri;
import farsight.sys.ErrnoException;
import farsight.sys.NbdDevice;
import farsight.sys.NbdNetlink;
import farsight.sys.NetlinkException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;

/** The end of a device that another process attached, or one that is gone. */
public final class Detachment {
    /** How long writing out may take; what is not written then would be lost. */
    private static final Duration FLUSH_LIMIT = Duration.ofSeconds(60);

    private static final Duration FORCED_FLUSH_LIMIT = Duration.ofSeconds(5);
    private static final Duration FREE_LIMIT = Duration.ofSeconds(10);
    private static final long POLL_NANOS = 2_000_000;

    private Detachment() {}

    /**
     * The device that a person means.
     *
     * @param word a path, a name such as nbd0, or the URI of an export
     * @throws IOException one line, when that is no device, none, or not just one
     */
    public static DeviceFile device(String word) throws IOException {
        if (!word.contains("://")) {
            DeviceFile file = new DeviceFile(word.startsWith("/") ? Path.of(word) : Path.of("/dev", word));
            file.index();
            return file;
        }
        NbdUri uri = NbdUri.parse(word);
        List<String> found = new ArrayList<>();
        for (DeviceStatus status : DeviceStatus.all()) {
            if (status.backend().filter(Identifier.of(uri)::equals).isPresent()
                    || status.uri().filter(uri.toString()::equals).isPresent()) {
                found.add(status.device());
            }
        }
        if (found.isEmpty()) {
            throw new IOException(uri + ": is not attached; 'farsight status' shows what is");
        }
        if (found.size() > 1) {
            throw new IOException(
                    uri + ": is attached more than once, to " + String.join(" and ", found) + "; name the device");
        }
        return new DeviceFile(Path.of(found.getFirst()));
    }

    /**
     * Writes out what the kernel still has for a device and frees it. Its client, if there is one, lets go of it.
     *
     * @param force even while it is used, which fails the I/O of those who use it, and when nothing can be written out
     * @throws IOException one line with the remedy
     */
    public static void detach(DeviceFile file, boolean force) throws IOException {
        int index = file.index();
        if (file.owner().isEmpty()) {
            throw new IOException(file.path() + ": is not attached; 'farsight status' shows what is");
        }
        Optional<DeviceState> state = RunDirectory.SYSTEM.state(file.name());
        Optional<DeviceState> attended = state.filter(DeviceState::attended);
        if (!force) {
            // Before the device is opened, which could wait for the server as well.
            if (attended.filter(DeviceUse::isWithoutServer).isPresent()) {
                throw new IOException(
                        file.path() + ": has no connection to its server, which may have to be written to;"
                                + " it stays attached (--force gives that up)");
            }
            Optional<String> use = DeviceUse.of(file, attended.map(DeviceState::pid));
            if (use.isPresent()) {
                throw new IOException(file.path() + ": is in use: " + use.get()
                        + "; unmount or close it first (--force fails the I/O of those who use it)");
            }
        }
        boolean flushed = flush(file, force ? FORCED_FLUSH_LIMIT : FLUSH_LIMIT);
        if (!flushed && !force) {
            throw new IOException(file.path() + ": the server does not take what has to be written; it stays attached"
                    + " (--force gives that up)");
        }
        if (attended.isPresent()) {
            RunDirectory.SYSTEM.askDetach(file.name(), attended.get().pid());
        }
        disconnect(
                file,
                index,
                state.filter(known -> known.attach().equals("ioctl")).isPresent());
        awaitFree(file);
        if (attended.isEmpty()) {
            RunDirectory.SYSTEM.forget(file.name());
        }
    }

    /** Whether the end of an attachment of this process was asked for by {@link #detach}. */
    public static boolean wasAsked(Path device) {
        return RunDirectory.SYSTEM.detachAsked(
                device.getFileName().toString(), ProcessHandle.current().pid());
    }

    private static boolean flush(DeviceFile file, Duration limit) throws IOException {
        CompletableFuture<Void> done = new CompletableFuture<>();
        Thread.ofPlatform().name("flush").daemon(true).start(() -> {
            try (NbdDevice device = NbdDevice.open(file.path().toString())) {
                device.sync();
                done.complete(null);
            } catch (ErrnoException | RuntimeException e) {
                done.completeExceptionally(e);
            }
        });
        try {
            done.get(limit.toMillis(), TimeUnit.MILLISECONDS);
            return true;
        } catch (TimeoutException e) {
            return false;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof ErrnoException errno
                    && (errno.errno() == NbdDevice.EPERM || errno.errno() == NbdDevice.EACCES)) {
                throw file.refused(errno, errno.errno());
            }
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static void disconnect(DeviceFile file, int index, boolean byIoctl) throws IOException {
        if (byIoctl) {
            try (NbdDevice device = NbdDevice.open(file.path().toString())) {
                device.disconnect();
            } catch (ErrnoException e) {
                throw file.refused(e, e.errno());
            }
            return;
        }
        try (NbdNetlink netlink = NbdNetlink.open()) {
            netlink.disconnect(index);
        } catch (NetlinkException e) {
            throw file.refused(e, e.errno());
        }
    }

    private static void awaitFree(DeviceFile file) throws IOException {
        long deadline = System.nanoTime() + FREE_LIMIT.toNanos();
        while (!file.isFree()) {
            if (System.nanoTime() > deadline) {
                throw new IOException(
                        file.path() + ": is disconnected, but still open; it is free when it is unmounted and closed");
            }
            LockSupport.parkNanos(POLL_NANOS);
        }
    }
}

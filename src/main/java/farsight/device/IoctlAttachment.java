package farsight.device;

import farsight.client.Negotiated;
import farsight.config.ClientConfig;
import farsight.config.DeviceConfig;
import farsight.protocol.Nbd;
import farsight.sys.ErrnoException;
import farsight.sys.FileLock;
import farsight.sys.NbdDevice;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * An export attached to a device by ioctl: the handshake is ours, then the kernel has the sockets and serves the device
 * from a thread of this process until it is detached or the connection is lost.
 */
final class IoctlAttachment implements Attachment {
    /** How long the kernel may take from the last ioctl to a device that is there. */
    private static final Duration ATTACH_LIMIT = Duration.ofSeconds(30);

    private static final Duration DETACH_LIMIT = Duration.ofSeconds(60);
    private static final int POLL_MILLIS = 5;

    private final DeviceFile file;
    private final NbdDevice device;
    private final Links links;
    private final FileLock lock;
    private final CompletableFuture<Void> configured = new CompletableFuture<>();
    private final CompletableFuture<Void> ended = new CompletableFuture<>();
    private volatile boolean detaching;

    private IoctlAttachment(DeviceFile file, NbdDevice device, Links links, FileLock lock) {
        this.file = file;
        this.device = device;
        this.links = links;
        this.lock = lock;
    }

    static IoctlAttachment attach(ClientConfig config) throws IOException {
        DeviceFile file = new DeviceFile(Path.of(config.device().file()));
        NbdDevice device = file.open();
        FileLock lock = null;
        Links links = null;
        try {
            lock = RunDirectory.SYSTEM.lock(file.name()).orElseThrow(file::inUse);
            links = Links.open(config);
            IoctlAttachment attachment = new IoctlAttachment(file, device, links, lock);
            attachment.start(config);
            return attachment;
        } catch (IOException | RuntimeException e) {
            if (links != null) {
                links.close();
                RunDirectory.SYSTEM.forget(file.name());
            }
            if (lock != null) {
                lock.close();
            }
            device.close();
            throw e;
        }
    }

    private void start(ClientConfig config) throws IOException {
        int flags = flags(config.device());
        DeviceState state = DeviceState.beforehand(file, config.server().toString(), "ioctl", links, flags);
        RunDirectory.SYSTEM.store(state);
        Thread.ofPlatform().name("nbd-device").daemon(true).start(() -> serve(config.device()));
        try {
            configured.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof ErrnoException errno) {
                throw file.refused(errno, errno.errno());
            }
            throw new IOException(e.getCause().getMessage(), e.getCause());
        }
        awaitDevice();
        try {
            file.queue(config.device().queue());
        } catch (IOException e) {
            disconnect();
            throw e;
        }
        RunDirectory.SYSTEM.store(state.madeBy(file.owner().orElse("")));
    }

    private int flags(DeviceConfig config) {
        return links.export().flags() | (config.readOnly() ? Nbd.NBD_FLAG_READ_ONLY : 0);
    }

    /** The thread that the kernel knows as the device's: it configures it and then waits in the kernel for its end. */
    private void serve(DeviceConfig config) {
        try {
            // First, because this is what the kernel refuses when somebody else has the device.
            for (int socket : links.descriptors()) {
                device.addSocket(socket);
            }
            device.blockSize(links.blockSize());
            device.sizeInBlocks(links.size() / links.blockSize());
            device.flags(flags(config));
            device.timeout(config.timeout());
        } catch (ErrnoException e) {
            configured.completeExceptionally(e);
            return;
        }
        configured.complete(null);
        try {
            device.run();
            device.clear();
            ended.complete(null);
        } catch (ErrnoException e) {
            ended.completeExceptionally(e);
        }
    }

    /** The kernel shows a pid once the device is up. */
    private void awaitDevice() throws IOException {
        long deadline = System.nanoTime() + ATTACH_LIMIT.toNanos();
        while (file.owner().isEmpty()) {
            try {
                ended.get(POLL_MILLIS, TimeUnit.MILLISECONDS);
                throw new IOException(file.path() + ": the server closed the connection while the device was attached");
            } catch (TimeoutException e) {
                if (System.nanoTime() > deadline) {
                    throw new IOException(
                            file.path() + ": the kernel did not attach the device within " + ATTACH_LIMIT.toSeconds()
                                    + " s; see 'dmesg'",
                            e);
                }
            } catch (ExecutionException e) {
                throw new IOException(file.path() + ": " + e.getCause().getMessage(), e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
        }
    }

    @Override
    public Negotiated export() {
        return links.export();
    }

    @Override
    public Path device() {
        return file.path();
    }

    @Override
    public boolean adopted() {
        return false;
    }

    @Override
    public void awaitDetached() throws IOException {
        try {
            ended.get();
        } catch (ExecutionException e) {
            if (!detaching) {
                throw new IOException(file.path() + ": " + e.getCause().getMessage(), e);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (!detaching) {
            throw new IOException(file.path() + ": the connection to the server is lost; the device is detached");
        }
    }

    private void disconnect() throws IOException {
        device.disconnect();
        try {
            ended.get(DETACH_LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            throw new IOException(file.path() + ": is not detached after " + DETACH_LIMIT.toSeconds() + " s", e);
        } catch (ExecutionException e) {
            // DO_IT reports how it ended; detached it is all the same.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() throws IOException {
        if (detaching) {
            return;
        }
        detaching = true;
        if (!ended.isDone()) {
            device.sync();
            disconnect();
        }
        links.close();
        device.close();
        links.awaitGoodbyes();
        RunDirectory.SYSTEM.forget(file.name());
        lock.close();
    }
}

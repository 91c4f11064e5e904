package farsight.device;

import farsight.client.ClientHandshake;
import farsight.client.ClientSocket;
import farsight.client.NbdException;
import farsight.client.Negotiated;
import farsight.config.ClientConfig;
import farsight.sys.ErrnoException;
import farsight.sys.NbdDevice;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * An export attached to a device by ioctl: the handshake is ours, then the kernel has the sockets and serves the device
 * from a thread of this process until it is detached or the connection is lost.
 */
public final class Attachment implements AutoCloseable {
    private static final Duration CONNECT_LIMIT = Duration.ofSeconds(10);

    /** How long the kernel may take from the last ioctl to a device that is there. */
    private static final Duration ATTACH_LIMIT = Duration.ofSeconds(30);

    private static final Duration DETACH_LIMIT = Duration.ofSeconds(60);
    private static final int POLL_MILLIS = 5;

    private final DeviceFile file;
    private final NbdDevice device;
    private final Negotiated export;
    private final List<ClientSocket> sockets;
    private final CompletableFuture<Void> configured = new CompletableFuture<>();
    private final CompletableFuture<Void> ended = new CompletableFuture<>();
    private volatile boolean detaching;

    private Attachment(DeviceFile file, NbdDevice device, Negotiated export, List<ClientSocket> sockets) {
        this.file = file;
        this.device = device;
        this.export = export;
        this.sockets = sockets;
    }

    /**
     * Attaches; returns when the device can be used.
     *
     * @throws IOException one line with the remedy; nothing is left behind
     */
    public static Attachment attach(ClientConfig config) throws IOException {
        DeviceFile file = new DeviceFile(Path.of(config.device()));
        NbdDevice device = file.open();
        List<ClientSocket> sockets = new ArrayList<>();
        try {
            Negotiated export = connect(config, sockets);
            Attachment attachment = new Attachment(file, device, export, sockets);
            attachment.start(config);
            return attachment;
        } catch (IOException | RuntimeException e) {
            sockets.forEach(ClientSocket::close);
            device.close();
            throw e;
        }
    }

    private static Negotiated connect(ClientConfig config, List<ClientSocket> sockets) throws IOException {
        Negotiated first = null;
        for (int i = 0; i < config.connections(); i++) {
            ClientSocket socket = ClientSocket.connect(config.server(), CONNECT_LIMIT);
            sockets.add(socket);
            Negotiated next = ClientHandshake.open(socket, config.server().export());
            if (first == null) {
                first = next;
                check(config, first, socket);
            } else if (next.size() != first.size() || next.flags() != first.flags()) {
                throw new NbdException(socket.peer() + ": the export changed between two connections; try again");
            }
        }
        return first;
    }

    private static void check(ClientConfig config, Negotiated export, ClientSocket socket) throws NbdException {
        if (config.connections() > 1 && !export.multiConn()) {
            throw new NbdException(socket.peer() + ": the server does not allow several connections to this export; set"
                    + " connections = 1");
        }
        if (export.minimumBlock() > config.blockSize()) {
            throw new NbdException(socket.peer() + ": the export needs blocks of at least " + export.minimumBlock()
                    + " bytes; set blocksize = " + export.minimumBlock());
        }
        if (export.size() < config.blockSize()) {
            throw new NbdException(socket.peer() + ": the export has " + export.size()
                    + " bytes, less than one block; make it larger");
        }
    }

    private void start(ClientConfig config) throws IOException {
        Thread.ofPlatform().name("nbd-device").daemon(true).start(() -> serve(config));
        try {
            configured.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof ErrnoException errno) {
                throw file.refused(errno);
            }
            throw new IOException(e.getCause().getMessage(), e.getCause());
        }
        awaitDevice();
    }

    /** The thread that the kernel knows as the device's: it configures it and then waits in the kernel for its end. */
    private void serve(ClientConfig config) {
        try {
            // First, because this is what the kernel refuses when somebody else has the device.
            for (ClientSocket socket : sockets) {
                device.addSocket(socket.fd());
            }
            device.blockSize(config.blockSize());
            device.sizeInBlocks(export.size() / config.blockSize());
            device.flags(export.flags());
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

    public Negotiated export() {
        return export;
    }

    public Path device() {
        return file.path();
    }

    /**
     * Waits until the device is detached.
     *
     * @throws IOException when it was not by {@link #close}: the connection is lost
     */
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

    /** Writes out what the kernel still holds, says goodbye to the server and frees the device. Any thread. */
    @Override
    public void close() throws IOException {
        if (detaching) {
            return;
        }
        detaching = true;
        if (!ended.isDone()) {
            device.sync();
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
        sockets.forEach(ClientSocket::close);
        device.close();
    }
}

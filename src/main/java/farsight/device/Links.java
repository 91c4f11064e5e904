package farsight.device;

import farsight.client.ClientHandshake;
import farsight.client.DescriptorSocket;
import farsight.client.NbdException;
import farsight.client.Negotiated;
import farsight.config.ClientConfig;
import farsight.config.NbdUri;
import farsight.sys.ErrnoException;
import farsight.sys.Sockets;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Connections that are through the handshake, for the kernel to take.
 *
 * @param export what the server said
 * @param blockSize bytes of a block of the device
 */
record Links(List<Line> lines, Negotiated export, int blockSize) {
    private static final Duration CONNECT_LIMIT = Duration.ofSeconds(10);
    private static final int SMALLEST_BLOCK = 512;
    private static final int LARGEST_BLOCK = 4096;
    private static final int USUAL_CONNECTIONS = 4;

    // A peer that is gone without a word is noticed after ten seconds, whether there is traffic or not.
    private static final int SILENCE_MILLIS = 10_000;
    private static final int IDLE_SECONDS = 4;
    private static final int PROBE_SECONDS = 2;
    private static final int PROBES = 3;

    /** As many as the configuration says; none is left open when one fails. */
    static Links open(ClientConfig config) throws IOException {
        List<Line> lines = new ArrayList<>();
        try {
            Negotiated first = open(config.server(), CONNECT_LIMIT, lines);
            int wanted = connections(config, first, lines.getFirst());
            int blockSize = blockSize(config, first, lines.getFirst());
            while (lines.size() < wanted) {
                Negotiated next = open(config.server(), CONNECT_LIMIT, lines);
                if (next.size() != first.size() || next.flags() != first.flags()) {
                    throw new NbdException(
                            lines.getLast().peer() + ": the export changed between two connections; try again");
                }
            }
            return new Links(lines, first, blockSize);
        } catch (IOException | RuntimeException e) {
            lines.forEach(Line::close);
            throw e;
        }
    }

    /** One connection, added to a list. */
    static Negotiated open(NbdUri uri, Duration limit, List<Line> lines) throws IOException {
        DescriptorSocket socket = DescriptorSocket.connect(uri, limit);
        try {
            if (!uri.isUnix()) {
                noticeSilence(socket.fd());
            }
            Negotiated export = ClientHandshake.open(socket, uri.export());
            lines.add(uri.tls() == null ? new Line.Direct(socket) : new Line.Relayed(socket));
            return export;
        } catch (IOException | RuntimeException e) {
            socket.close();
            throw e;
        }
    }

    private static void noticeSilence(int socket) throws ErrnoException {
        Sockets.keepAlive(socket, IDLE_SECONDS, PROBE_SECONDS, PROBES);
        Sockets.userTimeout(socket, SILENCE_MILLIS);
    }

    private static int connections(ClientConfig config, Negotiated export, Line line) throws NbdException {
        int wanted = config.device().connections();
        if (wanted > 1 && !export.multiConn()) {
            throw new NbdException(line.peer() + ": the server does not allow several connections to this export; set"
                    + " connections = 1");
        }
        if (wanted > 0) {
            return wanted;
        }
        return export.multiConn()
                ? Math.min(USUAL_CONNECTIONS, Runtime.getRuntime().availableProcessors())
                : 1;
    }

    private static int blockSize(ClientConfig config, Negotiated export, Line line) throws NbdException {
        int least = Math.max(SMALLEST_BLOCK, export.minimumBlock());
        int blockSize =
                config.device().blockSize() == 0 ? least : config.device().blockSize();
        if (least > LARGEST_BLOCK) {
            throw new NbdException(line.peer() + ": the export needs blocks of at least " + least
                    + " bytes; the kernel takes " + LARGEST_BLOCK + " at most");
        }
        if (least > blockSize) {
            throw new NbdException(line.peer() + ": the export needs blocks of at least " + least
                    + " bytes; set blocksize = " + least);
        }
        if (export.size() < blockSize) {
            throw new NbdException(
                    line.peer() + ": the export has " + export.size() + " bytes, less than one block; make it larger");
        }
        return blockSize;
    }

    /** What the server said, but with the flags that the kernel is given. */
    Negotiated export(int flags) {
        return new Negotiated(
                export.export(),
                export.size(),
                flags,
                export.description(),
                export.minimumBlock(),
                export.preferredBlock(),
                export.maximumPayload());
    }

    List<Integer> descriptors() {
        return lines.stream().map(Line::fd).toList();
    }

    /** Bytes of the device: whole blocks only. */
    long size() {
        return wholeBlocks(export.size(), blockSize);
    }

    static long wholeBlocks(long bytes, int blockSize) {
        return bytes / blockSize * blockSize;
    }

    /** Waits until servers have got what the kernel told them at the device's end. */
    void awaitGoodbyes() {
        try {
            for (Line line : lines) {
                line.awaitGoodbye();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    void close() {
        lines.forEach(Line::close);
    }
}

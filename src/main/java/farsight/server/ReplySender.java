package farsight.server;

import farsight.loop.Channel;
import farsight.protocol.Nbd;
import farsight.protocol.ReplyStyle;

/**
 * Answers one connection: gathers the finished requests of its {@link Outbox} into sends, fetches what large reads still
 * lack, and counts what is answered. Called by {@link Transmission} at the end of each turn. Loop thread only.
 */
final class ReplySender {
    private final Connection connection;
    private final Channel channel;
    private final ServerLoop loop;
    private final Export export;
    private final ReplyStyle style;
    private final Outbox outbox;
    private final ReplyWriter writer;
    private final InFlight inFlight;
    private final DeviceIo io;
    private final RequestDispatcher requests;
    private final Traffic traffic;
    private final Usage usage;

    /** The read whose reply has begun has no memory for its next piece; null when there is none like that. */
    private IoRequest starvedStream;

    /** When what is being gathered is sent. */
    private long sendsAt;

    ReplySender(
            Connection connection,
            Channel channel,
            ServerLoop loop,
            Export export,
            ReplyStyle style,
            Outbox outbox,
            InFlight inFlight,
            DeviceIo io,
            RequestDispatcher requests) {
        this.connection = connection;
        this.channel = channel;
        this.loop = loop;
        this.export = export;
        this.style = style;
        this.outbox = outbox;
        this.inFlight = inFlight;
        this.io = io;
        this.requests = requests;
        writer = new ReplyWriter(outbox, style);
        traffic = export.traffic(loop);
        usage = connection.usage();
        sendsAt = loop.loop().now();
    }

    /** When something was last sent, by the loop's clock. */
    long sentAt() {
        return sendsAt;
    }

    /** Whether there is something to send now. */
    boolean isReady() {
        return !io.isClosed() && outbox.isReady();
    }

    /** Sends what is ready, as long as the socket takes it at once. */
    void send() {
        while (!channel.sending() && isReady()) {
            outbox.begin();
            sendsAt = loop.loop().now();
            gather();
            if (!io.isClosed()) {
                outbox.send();
            }
        }
    }

    /** A send is over. */
    void sent() {
        outbox.sent();
        traffic.sent(loop.loop().now() - sendsAt);
    }

    /** Goes on with reads that lacked memory, first of all the one whose reply has begun. */
    void proceed() {
        if (starvedStream != null && !io.waitsForPool()) {
            IoRequest read = starvedStream;
            starvedStream = null;
            streamOn(read);
        }
        io.feedStarved();
    }

    private void gather() {
        while (isReady() && outbox.hasRoom()) {
            IoRequest request = outbox.poll();
            boolean read = request.type == Nbd.NBD_CMD_READ && request.wanted > 0;
            if (read && !request.unbroken) {
                gatherChunks(request);
            } else if (outbox.isStreaming(request) || read && request.errno == 0) {
                gatherUnbroken(request);
            } else {
                if (request.type == Nbd.NBD_CMD_BLOCK_STATUS && request.errno == 0) {
                    writer.status(request);
                } else {
                    writer.finished(request);
                }
                answered(request);
            }
        }
    }

    /** A read as one chunk, or as a simple reply: nothing comes between its pieces. */
    private void gatherUnbroken(IoRequest request) {
        if (request.errno != 0) {
            pad(request);
            return;
        }
        boolean begun = outbox.isStreaming(request);
        boolean wholeNow = !begun && request.length == request.wanted;
        if (!begun) {
            writer.wholeData(request, wholeNow);
        }
        sendPiece(request);
        if (request.finished < request.wanted) {
            outbox.stream(request);
            streamOn(request);
            return;
        }
        outbox.streamed();
        if (!wholeNow && style.chunked()) {
            // The data was begun while it could still fail, so it could not be marked as the last chunk.
            writer.none(request);
        }
        answered(request);
    }

    /** Fetches the next piece of the large read whose reply has begun. */
    private void streamOn(IoRequest read) {
        if (io.readPiece(read, read.wanted - read.finished)) {
            io.submit(read);
        } else {
            starvedStream = read;
        }
    }

    /** The rest of a chunk that was promised and failed: "it MUST use padding bytes", and then the error. */
    private void pad(IoRequest request) {
        while (request.finished < request.wanted && outbox.hasRoom()) {
            long length = Math.min(ServerLoop.ZEROES, request.wanted - request.finished);
            outbox.payload(ServerLoop.zeroes(), length, null);
            request.finished += length;
        }
        if (request.finished < request.wanted || !outbox.hasRoom()) {
            outbox.addFirst(request);
            return;
        }
        outbox.streamed();
        writer.failed(request);
        answered(request);
    }

    /** As many chunks of a read as there are now and as fit. */
    private void gatherChunks(IoRequest request) {
        while (request.errno == 0 && outbox.hasRoom()) {
            long at = request.start + request.finished;
            long run = request.plan.run(request.finished);
            if (request.plan.zeroAt(request.finished)) {
                writer.hole(request, at, run, request.finished + run == request.wanted);
                request.finished += run;
            } else if (export.memory() != 0) {
                writer.data(request, at, run, request.finished + run == request.wanted);
                outbox.payload(export.memory() + at, run, null);
                request.finished += run;
            } else if (request.buffer != null) {
                writer.data(request, at, request.length, request.finished + request.length == request.wanted);
                sendPiece(request);
            } else {
                if (io.readOn(request)) {
                    io.submit(request);
                }
                return;
            }
            if (request.finished == request.wanted) {
                answered(request);
                return;
            }
        }
        if (request.errno != 0 && outbox.hasRoom()) {
            writer.failed(request);
            answered(request);
        } else {
            outbox.addFirst(request);
        }
    }

    private void sendPiece(IoRequest request) {
        outbox.payload(request.address, request.length, request.buffer);
        request.buffer = null;
        request.finished += request.length;
    }

    private void answered(IoRequest request) {
        inFlight.release(request);
        loop.loop().counters().request();
        long took = sendsAt - request.arrived;
        traffic.answered(request.type, request.wanted, request.errno != 0, took);
        traffic.stages(request, sendsAt);
        usage.answered(request.type, request.wanted, request.errno != 0);
        if (took >= SlowRequestEvent.LEAST_NANOS && SlowRequestEvent.wanted()) {
            SlowRequestEvent.tell(request, export.name(), connection.toString(), took);
        }
        boolean lost = request.errno != 0 && export.device().lost();
        loop.giveBack(request);
        if (lost && !requests.isDisconnecting()) {
            connection.lost(export);
        }
    }

    /** Lets go of all that is not sent yet. */
    void close() {
        outbox.close();
        while (!outbox.isEmpty()) {
            loop.giveBack(outbox.poll());
        }
        if (starvedStream != null) {
            loop.giveBack(starvedStream);
            starvedStream = null;
        }
    }
}

package farsight.tls;

import farsight.buffer.Buffer;
import farsight.loop.Channel;
import farsight.loop.ChannelHandler;
import farsight.loop.IoLoop;
import farsight.loop.LoopTask;
import farsight.sys.ErrnoException;
import farsight.sys.IoVec;
import farsight.sys.Memory;
import farsight.sys.Native;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.security.cert.X509Certificate;
import java.util.function.Consumer;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;

/**
 * A channel whose bytes go encrypted over the channel below it. Its handler is called as that of any channel is; the
 * first call comes when the TLS handshake is over. The costly steps of that run on threads of their own.
 *
 * <p>All memory is bounded: one record that is not complete, what the loop received and was not decrypted yet (nothing
 * more is received meanwhile), and a few records on their way out. Loop thread only.
 */
public final class TlsChannel implements Channel, ChannelHandler {
    private static final int RECORDS_OUT = 4;
    private static final int PLAIN_OUT = Records.PLAIN;

    /** What is decrypted before it is handed over, at most. */
    private static final int DECRYPTED = 64 << 10;

    private static final ByteBuffer NOTHING = ByteBuffer.allocateDirect(0);

    private final SSLEngine engine;
    private final ChannelHandler above;
    private final Consumer<String> problems;
    private IoLoop loop;
    private Channel below;

    private final MemorySegment memory;
    private final Records in;
    private final ByteBuffer plainOut;
    private final long plainOutAddress;
    private final ByteBuffer out;
    private final long outAddress;
    private final IoVec leaving = new IoVec(1);
    private final int packet;

    private IoVec sending;
    private long fillAddress;
    private long fillLength;

    private boolean established;
    private boolean paused;
    private boolean belowPaused;
    private boolean thinking;
    private boolean finishing;
    private boolean finished;
    private boolean detaching;
    /** Between two loops. */
    private boolean moving;

    private boolean closed;
    private boolean freed;

    /** Guards against being called from within. */
    private boolean decrypting;

    private boolean pumping;

    private Again again;

    /** Goes on, in a turn of its own, as long as it is on that loop. */
    private final class Again extends LoopTask {
        private final IoLoop here = loop;
        private boolean queued;
        private boolean over;

        void queue() {
            if (!queued && !over) {
                queued = true;
                here.execute(this);
            }
        }

        @Override
        protected void run() {
            queued = false;
            if (!over) {
                decrypt();
            }
        }
    }

    /**
     * Begins a handshake on a channel, and takes it over.
     *
     * @param below with nothing being sent or diverted
     * @param engine with all that it needs, its mode included
     * @param problems told why the connection is given up, in words for people
     * @throws ErrnoException without memory for it; the channel is as it was
     */
    public TlsChannel(IoLoop loop, Channel below, SSLEngine engine, ChannelHandler above, Consumer<String> problems)
            throws ErrnoException {
        this.loop = loop;
        again = new Again();
        this.below = below;
        this.engine = engine;
        this.above = above;
        this.problems = problems;
        packet = Math.max(engine.getSession().getPacketBufferSize(), Records.LONGEST);
        memory = Memory.map(Records.LONGEST + PLAIN_OUT + (long) RECORDS_OUT * packet);
        in = new Records(memory.asSlice(0, Records.LONGEST));
        MemorySegment plain = memory.asSlice(Records.LONGEST, PLAIN_OUT);
        plainOut = plain.asByteBuffer().limit(0);
        plainOutAddress = plain.address();
        MemorySegment cipher = memory.asSlice(Records.LONGEST + PLAIN_OUT);
        out = cipher.asByteBuffer();
        outAddress = cipher.address();
        try {
            engine.beginHandshake();
        } catch (SSLException e) {
            free();
            throw new IllegalStateException(e);
        }
        below.handler(this);
    }

    /** Goes on, over another channel of the same socket, after {@link #detach}; the loop may be another one. */
    public void reopened(IoLoop here, Channel channel) {
        loop = here;
        again = new Again();
        below = channel;
        belowPaused = false;
        moving = false;
    }

    /** What the handshake has agreed on. */
    public SSLSession session() {
        return engine.getSession();
    }

    /** The certificate that the peer has shown, and which was found good; null for none. */
    public X509Certificate peerCertificate() {
        try {
            return engine.getSession().getPeerCertificates()[0] instanceof X509Certificate certificate
                    ? certificate
                    : null;
        } catch (SSLPeerUnverifiedException e) {
            return null;
        }
    }

    // ---- receiving -----------------------------------------------------------------------------------------------

    @Override
    public void received(Buffer buffer, int from, int length) {
        if (!closed) {
            in.hold(buffer, from, length);
            decrypt();
        }
    }

    /** Decrypts and hands over what there is, until somebody has to be waited for. */
    private void decrypt() {
        if (decrypting || closed || moving) {
            return;
        }
        decrypting = true;
        try {
            while (mayDecrypt() && in.complete()) {
                Buffer plain = loop.pool().take(DECRYPTED);
                if (plain == null) {
                    loop.pool().onRelease(again::queue);
                    break;
                }
                try {
                    decryptInto(plain);
                } finally {
                    plain.release();
                }
            }
        } catch (SSLException e) {
            fail(e.getMessage());
        } finally {
            decrypting = false;
        }
        settle();
    }

    private boolean mayDecrypt() {
        // What has to be said first goes first: a peer that makes us answer waits until the answer has left.
        return !closed && !thinking && (!paused || detaching) && !(needsWrap() && below.sending());
    }

    private boolean needsWrap() {
        return engine.getHandshakeStatus() == HandshakeStatus.NEED_WRAP;
    }

    /** As many records as the buffer takes, and hands them over. */
    private void decryptInto(Buffer plain) throws SSLException {
        ByteBuffer target = plain.memory().asByteBuffer();
        boolean ended = false;
        while (!ended && mayDecrypt() && target.remaining() >= packet && in.complete()) {
            SSLEngineResult result = engine.unwrap(in.record(), target);
            in.advance(result.bytesConsumed());
            ended = result.getStatus() == SSLEngineResult.Status.CLOSED;
            if (!ended && result.getStatus() != SSLEngineResult.Status.OK) {
                throw new SSLException("a record that cannot be decrypted (" + result.getStatus() + ")");
            }
            if (!ended) {
                handshake(result.getHandshakeStatus());
            }
        }
        if (target.position() > 0 && !closed) {
            deliver(plain, target.position());
        }
        if (ended && !closed) {
            close();
            above.closed(0);
        }
    }

    private void deliver(Buffer plain, int length) {
        int from = (int) Math.min(fillLength, length);
        if (from > 0) {
            Native.copy(plain.memory(), 0, fillAddress, from);
            fillAddress += from;
            fillLength -= from;
            if (fillLength == 0) {
                above.filled(length > from);
            }
        }
        if (length > from && !closed) {
            above.received(plain, from, length - from);
        }
    }

    /** Does what the engine asks for. */
    private void handshake(HandshakeStatus status) throws SSLException {
        boolean over = status == HandshakeStatus.FINISHED || status == HandshakeStatus.NOT_HANDSHAKING;
        if (established && !over && !engine.getSession().getProtocol().equals("TLSv1.3")) {
            // Later versions have no renegotiation; in earlier ones it has only brought trouble.
            throw new SSLException("the peer wants to renegotiate");
        }
        established |= over;
        if (status == HandshakeStatus.NEED_TASK) {
            think();
        } else if (needsWrap()) {
            pump();
        }
    }

    /** Runs the costly steps of a handshake elsewhere. */
    private void think() {
        thinking = true;
        IoLoop here = loop;
        HandshakeThreads.execute(() -> {
            Runnable task;
            while ((task = engine.getDelegatedTask()) != null) {
                task.run();
            }
            here.execute(this::thought);
        });
    }

    private void thought() {
        thinking = false;
        if (!closed) {
            pump();
            decrypt();
        }
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    @Override
    public void send(IoVec pieces) {
        assert sending == null;
        if (!closed) {
            sending = pieces;
            pump();
        }
    }

    @Override
    public void allowInPlace() {}

    @Override
    public boolean wantsInPlace() {
        return false; // what leaves is not what was given
    }

    @Override
    public void sendInPlace(IoVec pieces) {
        send(pieces);
    }

    @Override
    public void release(Buffer buffer) {
        buffer.release();
    }

    /** Encrypts and sends, until the socket takes no more. */
    private void pump() {
        if (pumping || closed || moving) {
            return;
        }
        pumping = true;
        try {
            while (!closed && !below.sending() && encrypt()) {
                leaving.clear();
                leaving.add(outAddress, out.position());
                below.send(leaving);
            }
        } catch (SSLException e) {
            fail(e.getMessage());
        } finally {
            pumping = false;
        }
        if (!closed && sending != null && sending.isEmpty() && !plainOut.hasRemaining() && !below.sending()) {
            sending = null;
            above.sent();
        }
        settle();
    }

    /** Fills the buffer for output; whether there is any. */
    private boolean encrypt() throws SSLException {
        out.clear();
        while (!thinking && out.remaining() >= packet) {
            HandshakeStatus status = engine.getHandshakeStatus();
            SSLEngineResult result;
            if (status == HandshakeStatus.NEED_TASK) {
                think();
                break;
            } else if (status == HandshakeStatus.NEED_WRAP) {
                result = engine.wrap(NOTHING, out);
            } else if (established && hasPlain()) {
                result = engine.wrap(plainOut, out);
            } else {
                break;
            }
            established |= result.getHandshakeStatus() == HandshakeStatus.FINISHED;
            if (result.bytesProduced() == 0) {
                if (status == HandshakeStatus.NOT_HANDSHAKING) {
                    throw new SSLException("the engine does not encrypt (" + result.getStatus() + ")");
                }
                break;
            }
        }
        return out.position() > 0;
    }

    /** Whether there is something to encrypt: many small pieces make one record. */
    private boolean hasPlain() {
        if (!plainOut.hasRemaining() && sending != null && !sending.isEmpty()) {
            plainOut.clear().limit(sending.take(plainOutAddress, PLAIN_OUT));
        }
        return plainOut.hasRemaining();
    }

    @Override
    public void sent() {
        pump();
        if (!in.isEmpty()) {
            again.queue();
        }
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    /** What has been waiting for something to be over. */
    private void settle() {
        if (closed) {
            free();
        }
        if (closed || moving) {
            return;
        }
        boolean wanted = thinking || paused && !detaching || !in.isEmpty();
        if (wanted != belowPaused) {
            belowPaused = wanted;
            if (wanted) {
                below.pause();
            } else {
                below.resume();
            }
        }
        if (decrypting || pumping || below.sending() || thinking) {
            return;
        }
        if (detaching && in.isEmpty()) {
            below.detach();
        } else if (finishing && !finished && engine.isOutboundDone()) {
            finished = true;
            below.finish();
        }
    }

    private void fail(String why) {
        if (!closed) {
            problems.accept(established ? "TLS: " + why : "TLS handshake: " + why);
            closeWith(false);
            above.closed(0);
        }
    }

    @Override
    public void close() {
        closeWith(true);
    }

    /** Tells the peer what it can still be told, without waiting, and closes. */
    private void closeWith(boolean notify) {
        if (closed) {
            return;
        }
        closed = true;
        if (!below.sending() && !thinking) {
            try {
                if (notify) {
                    engine.closeOutbound();
                }
                out.clear();
                while (needsWrap() && engine.wrap(NOTHING, out).bytesProduced() > 0 && out.remaining() >= packet) {}
                if (out.position() > 0) {
                    leaving.clear();
                    leaving.add(outAddress, out.position());
                    below.send(leaving);
                }
            } catch (SSLException e) {
                // It is being given up anyway.
            }
        }
        below.close();
        free();
    }

    /** When nobody uses the memory any more, of those who have called the one that closed it. */
    private void free() {
        if (!decrypting && !pumping && !freed) {
            freed = true;
            in.close();
            leaving.close();
            Memory.unmap(memory);
        }
    }

    @Override
    public void closed(int errno) {
        if (!closed) {
            closed = true;
            free();
            above.closed(errno);
        }
    }

    // ---- Channel -------------------------------------------------------------------------------------------------

    @Override
    public void handler(ChannelHandler handler) {
        throw new UnsupportedOperationException("a TLS channel has one handler");
    }

    @Override
    public void fill(long address, long length) {
        assert fillLength == 0 && length > 0;
        fillAddress = address;
        fillLength = length;
    }

    @Override
    public void pause() {
        paused = true;
        settle();
    }

    @Override
    public void resume() {
        paused = false;
        if (!in.isEmpty()) {
            again.queue();
        }
        settle();
    }

    @Override
    public void touch() {
        below.touch();
    }

    @Override
    public boolean sending() {
        return sending != null;
    }

    @Override
    public void finish() {
        finishing = true;
        engine.closeOutbound();
        pump();
    }

    @Override
    public void detach() {
        assert sending == null && fillLength == 0;
        paused = false;
        detaching = true;
        decrypt();
    }

    @Override
    public boolean isClosed() {
        return closed || moving;
    }

    @Override
    public int fd() {
        return below.fd();
    }

    // ---- ChannelHandler ------------------------------------------------------------------------------------------

    @Override
    public void filled(boolean more) {
        throw new AssertionError("nothing is diverted below");
    }

    @Override
    public void turnOver() {
        if (!closed) {
            above.turnOver();
        }
    }

    @Override
    public void detached() {
        detaching = false;
        moving = true;
        again.over = true;
        above.detached();
    }
}

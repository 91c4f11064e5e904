package farsight.client;

import farsight.sys.IoVec;
import farsight.sys.Native;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLEngineResult.Status;
import javax.net.ssl.SSLException;

/**
 * Encrypts for the transport below it, by the JDK's engine. One thread may receive while another sends; memory is that of
 * a few records.
 */
final class TlsTransport implements Transport, AutoCloseable {
    private static final int RECORD = 16 << 10;

    /** How many records are received and sent with one call at most. */
    private static final int RECORDS = 8;

    private static final ByteBuffer NOTHING = ByteBuffer.allocateDirect(0);

    private final Transport below;
    private final SSLEngine engine;
    private final Arena arena = Arena.ofShared();

    /** Received and not decrypted: what remains. */
    private final ByteBuffer cipherIn;

    private final long cipherInAddress;

    /** Decrypted and not taken: what remains. */
    private final ByteBuffer plainIn;

    private final MemorySegment plainInMemory;

    private final Object sendLock = new Object();
    private final ByteBuffer plainOut;
    private final long plainOutAddress;
    private final ByteBuffer cipherOut;
    private final long cipherOutAddress;
    private final IoVec single = new IoVec(1);
    private final int longestRecord;
    private final int longestPlain;
    private boolean ended;

    /** Shakes hands, on the caller's thread. */
    TlsTransport(Transport below, SSLEngine engine) throws NbdException {
        this.below = below;
        this.engine = engine;
        longestRecord = engine.getSession().getPacketBufferSize();
        longestPlain = engine.getSession().getApplicationBufferSize();
        MemorySegment in = arena.allocate((long) RECORDS * longestRecord, 64);
        cipherIn = in.asByteBuffer().limit(0);
        cipherInAddress = in.address();
        plainInMemory = arena.allocate(2L * longestRecord, 64);
        plainIn = plainInMemory.asByteBuffer().limit(0);
        MemorySegment plain = arena.allocate(RECORD, 64);
        plainOut = plain.asByteBuffer();
        plainOutAddress = plain.address();
        MemorySegment out = arena.allocate((long) RECORDS * longestRecord, 64);
        cipherOut = out.asByteBuffer();
        cipherOutAddress = out.address();
        try {
            engine.beginHandshake();
            shakeHands();
        } catch (SSLException e) {
            NbdException failure = failed(e);
            tellWhy();
            close();
            throw failure;
        } catch (NbdException e) {
            close();
            throw e;
        }
    }

    @Override
    public String peer() {
        return below.peer();
    }

    private NbdException failed(SSLException e) {
        Throwable cause = e;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return new NbdException(peer() + ": TLS: " + cause.getMessage());
    }

    private void shakeHands() throws SSLException, NbdException {
        while (true) {
            switch (engine.getHandshakeStatus()) {
                case NEED_TASK -> think();
                case NEED_WRAP -> wrap(NOTHING);
                case NEED_UNWRAP, NEED_UNWRAP_AGAIN -> {
                    plainIn.clear();
                    unwrap(plainIn, true);
                    plainIn.flip();
                }
                default -> {
                    return;
                }
            }
        }
    }

    private void think() {
        Runnable task;
        while ((task = engine.getDelegatedTask()) != null) {
            task.run();
        }
    }

    /** The engine's last alert; that it arrives is not certain. */
    private void tellWhy() {
        try {
            if (engine.getHandshakeStatus() == HandshakeStatus.NEED_WRAP) {
                wrap(NOTHING);
            }
        } catch (SSLException | NbdException e) {
            // The first failure is the one to tell about.
        }
    }

    // ---- receiving -----------------------------------------------------------------------------------------------

    @Override
    public long receiveSome(long address, long length) throws NbdException {
        try {
            while (!plainIn.hasRemaining()) {
                plainIn.clear();
                Status status = unwrap(plainIn, true);
                plainIn.flip();
                carryOn(status);
            }
        } catch (SSLException e) {
            throw failed(e);
        }
        int step = (int) Math.min(length, plainIn.remaining());
        Native.copy(plainInMemory, plainIn.position(), address, step);
        plainIn.position(plainIn.position() + step);
        return step;
    }

    /**
     * Receives what is there, at least one byte, and decrypts it to where it is wanted.
     *
     * @param target direct, with room for two records; what is received is between its position before and after
     */
    void receive(ByteBuffer target) throws NbdException {
        int start = target.position();
        target.put(plainIn);
        try {
            while (target.remaining() >= longestPlain) {
                Status status = unwrap(target, target.position() == start);
                if (status == Status.BUFFER_UNDERFLOW) {
                    return;
                }
                if (status == Status.CLOSED && target.position() > start) {
                    return; // the next call says it
                }
                carryOn(status);
            }
        } catch (SSLException e) {
            throw failed(e);
        }
    }

    private void carryOn(Status status) throws SSLException, NbdException {
        if (status == Status.CLOSED) {
            throw new NbdException(peer() + ": the server closed the connection");
        }
        answer();
    }

    /**
     * Decrypts the next record.
     *
     * @param wait whether to receive it first if need be; else it is BUFFER_UNDERFLOW
     */
    private Status unwrap(ByteBuffer target, boolean wait) throws SSLException, NbdException {
        while (true) {
            Status status = engine.unwrap(cipherIn, target).getStatus();
            if (status == Status.BUFFER_OVERFLOW) {
                throw new SSLException("a record that is too long");
            }
            if (status != Status.BUFFER_UNDERFLOW || !wait) {
                return status;
            }
            receiveMore();
        }
    }

    private void receiveMore() throws SSLException, NbdException {
        if (cipherIn.remaining() >= longestRecord) {
            throw new SSLException("a record that is too long");
        }
        cipherIn.compact();
        try {
            long received = below.receiveSome(cipherInAddress + cipherIn.position(), cipherIn.remaining());
            cipherIn.position(cipherIn.position() + (int) received);
        } finally {
            cipherIn.flip();
        }
    }

    /** After the handshake the server may still want something: other keys (RFC 8446, section 4.6.3). */
    private void answer() throws SSLException, NbdException {
        HandshakeStatus status = engine.getHandshakeStatus();
        if (status == HandshakeStatus.NOT_HANDSHAKING) {
            return;
        }
        if (!engine.getSession().getProtocol().equals("TLSv1.3")) {
            throw new SSLException("the server wants to renegotiate");
        }
        if (status == HandshakeStatus.NEED_TASK) {
            think();
        }
        if (engine.getHandshakeStatus() == HandshakeStatus.NEED_WRAP) {
            wrap(NOTHING);
        }
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    @Override
    public void send(long address, long length) throws NbdException {
        synchronized (sendLock) {
            single.clear();
            single.add(address, length);
            send(single);
        }
    }

    /** Sends all of a vector. */
    void send(IoVec pieces) throws NbdException {
        synchronized (sendLock) {
            try {
                while (!pieces.isEmpty()) {
                    plainOut.clear().limit(pieces.take(plainOutAddress, RECORD));
                    while (plainOut.hasRemaining()) {
                        wrap(plainOut);
                    }
                }
            } catch (SSLException e) {
                throw failed(e);
            }
        }
    }

    /** Encrypts and sends all of a direct buffer, several records with each call of the system. */
    void send(ByteBuffer plain) throws NbdException {
        synchronized (sendLock) {
            try {
                while (plain.hasRemaining()) {
                    wrap(plain);
                }
            } catch (SSLException e) {
                throw failed(e);
            }
        }
    }

    private void wrap(ByteBuffer plain) throws SSLException, NbdException {
        synchronized (sendLock) {
            if (ended) {
                throw new NbdException(peer() + ": the connection is closed");
            }
            cipherOut.clear();
            do {
                SSLEngineResult result = engine.wrap(plain, cipherOut);
                if (result.bytesProduced() == 0 && plain.hasRemaining()) {
                    throw new SSLException("the engine does not encrypt (" + result.getStatus() + ")");
                }
            } while (plain.hasRemaining() && cipherOut.remaining() >= longestRecord);
            if (cipherOut.position() > 0) {
                below.send(cipherOutAddress, cipherOut.position());
            }
        }
    }

    /** Tells the server that nothing more comes (close_notify). */
    void finish() throws NbdException {
        engine.closeOutbound();
        try {
            wrap(NOTHING);
        } catch (SSLException e) {
            throw failed(e);
        }
    }

    /** Frees its memory. No thread may be in a call. */
    @Override
    public void close() {
        synchronized (sendLock) {
            if (!ended) {
                ended = true;
                single.close();
                arena.close();
            }
        }
    }
}

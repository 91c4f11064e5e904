package farsight.loop;

import farsight.buffer.Buffer;
import farsight.sys.ErrnoException;
import farsight.sys.IoVec;
import farsight.sys.Sockets;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;

/** A socket on an {@link EventLoop}: what channels do the same, whoever tells them that the socket is ready. */
abstract sealed class StreamChannel implements Channel permits EpollChannel, UringChannel {
    private static final Logger LOG = System.getLogger(StreamChannel.class.getName());

    private final EventLoop loop;
    private final int fd;
    private ChannelHandler handler;
    private boolean closed;
    private boolean paused;
    private boolean touched;

    /** Whether the last receive may have left something behind in the socket. */
    private boolean more;

    /** Where received bytes are diverted to, and how many are still to come. */
    private long fillAddress;

    private long fillLength;
    private IoVec scatter;
    private IoVec sending;

    /** Whether the memory of what is being sent may stay in use. */
    private boolean inPlace;

    /** Whether some of what is being sent, or was sent last, stays in use. */
    private boolean leftInPlace;

    /** Null when no send may be in place. */
    private ZeroCopySends zeroCopy;

    StreamChannel(EventLoop loop, int fd, ChannelHandler handler) {
        this.loop = loop;
        this.fd = fd;
        this.handler = handler;
    }

    // ---- what implementations do ---------------------------------------------------------------------------------

    /** Something has changed of {@link #paused} or {@link #sending}. */
    abstract void interestChanged();

    /** The socket is about to be closed, or to go to another loop. */
    abstract void unregister();

    final boolean paused() {
        return paused;
    }

    // ---- events --------------------------------------------------------------------------------------------------

    /** Receives once; true when there may be more. The channel is open and not paused. */
    final boolean receive() {
        more = false;
        receiveOnce();
        return more;
    }

    private void receiveOnce() {
        Buffer buffer = loop.receiveBuffer();
        if (buffer == null) {
            if (fillLength > 0) {
                receiveFill();
            } else {
                more = true;
                pause();
                loop.pool().onRelease(this::resume);
            }
        } else if (fillLength > 0) {
            receiveBoth(buffer);
        } else {
            int most = loop.receiveAtOnce();
            long result = Sockets.receive(loop.callState(), fd, buffer.address(), most);
            if (arrived(result, most)) {
                handler.received(buffer, 0, (int) result);
            }
        }
    }

    private void receiveFill() {
        long result = Sockets.receive(loop.callState(), fd, fillAddress, fillLength);
        if (arrived(result, fillLength)) {
            advanceFill(result, false);
        }
    }

    /** The rest of what is diverted and whatever follows it, in one call. */
    private void receiveBoth(Buffer buffer) {
        if (scatter == null) {
            scatter = new IoVec(2);
        }
        scatter.clear();
        scatter.add(fillAddress, fillLength);
        scatter.add(buffer.address(), buffer.capacity());
        long result = Sockets.receive(loop.callState(), fd, scatter);
        if (!arrived(result, fillLength + buffer.capacity())) {
            return;
        }
        long diverted = Math.min(result, fillLength);
        // What follows must not be reused before it is handed over, whatever filled() does.
        buffer.retain();
        advanceFill(diverted, result > diverted);
        if (result > diverted && !closed) {
            handler.received(buffer, 0, (int) (result - diverted));
        }
        buffer.release();
    }

    private void advanceFill(long bytes, boolean more) {
        fillAddress += bytes;
        fillLength -= bytes;
        if (fillLength == 0) {
            handler.filled(more);
        }
    }

    private boolean arrived(long result, long room) {
        if (result > 0) {
            more = result == room;
            loop.counters().received(result);
            return true;
        }
        if (result == -Sockets.EINTR) {
            more = true;
        } else if (result != -Sockets.EAGAIN) {
            broken((int) -result);
        }
        return false;
    }

    final void broken(int errno) {
        if (!closed) {
            close();
            handler.closed(errno);
        }
    }

    final void turnOver() {
        touched = false;
        if (!closed) {
            handler.turnOver();
        }
    }

    // ---- Channel -------------------------------------------------------------------------------------------------

    @Override
    public final void fill(long address, long length) {
        assert fillLength == 0 && length > 0;
        fillAddress = address;
        fillLength = length;
    }

    @Override
    public final void pause() {
        paused = true;
        interestChanged();
    }

    @Override
    public final void resume() {
        paused = false;
        interestChanged();
    }

    @Override
    public final void touch() {
        if (!touched) {
            touched = true;
            loop.touch(this);
        }
    }

    @Override
    public final void send(IoVec pieces) {
        send(pieces, false);
    }

    @Override
    public final void sendInPlace(IoVec pieces) {
        send(pieces, zeroCopy != null);
    }

    private void send(IoVec pieces, boolean inPlace) {
        assert sending == null;
        if (!closed) {
            sending = pieces;
            this.inPlace = inPlace;
            leftInPlace = false;
            continueSending();
        }
    }

    final void continueSending() {
        IoVec pieces = sending;
        while (!pieces.isEmpty()) {
            boolean whereItIs = inPlace && zeroCopy.suits(pieces.bytes(), pieces.count());
            long result = whereItIs
                    ? Sockets.sendInPlace(loop.callState(), fd, pieces)
                    : Sockets.send(loop.callState(), fd, pieces);
            if (result >= 0) {
                loop.counters().sent(result);
                if (whereItIs && result > 0) {
                    zeroCopy.sent();
                    leftInPlace = true;
                    loop.counters().sentInPlace(result);
                }
                pieces.advance(result);
            } else if (whereItIs && result == -Sockets.ENOBUFS) {
                inPlace = false; // as many as a socket may have
            } else if (result == -Sockets.EAGAIN) {
                interestChanged();
                return;
            } else if (result != -Sockets.EINTR) {
                broken((int) -result);
                return;
            }
        }
        sending = null;
        interestChanged();
        handler.sent();
    }

    @Override
    public final void allowInPlace() {
        if (loop.zeroCopy() == ZeroCopy.OFF) {
            return;
        }
        try {
            Sockets.zeroCopy(fd);
            zeroCopy = new ZeroCopySends(loop.zeroCopy() == ZeroCopy.ALWAYS);
        } catch (ErrnoException e) {
            LOG.log(Level.DEBUG, "no sends without a copy: {0}", e.getMessage());
        }
    }

    @Override
    public final boolean wantsInPlace() {
        return zeroCopy != null && zeroCopy.wanted();
    }

    @Override
    public final void release(Buffer buffer) {
        if (leftInPlace) {
            zeroCopy.release(buffer);
        } else {
            buffer.release();
        }
    }

    /**
     * Events without an error that only says that sends in place are over: possibly one that was reported before and is
     * dealt with. A broken TCP connection is hung up as well, and its next receive or send tells why.
     */
    final int withoutNotices(int events, int error) {
        if (zeroCopy == null || (events & error) == 0) {
            return events;
        }
        loop.told(fd, zeroCopy);
        return events & ~error;
    }

    @Override
    public final boolean sending() {
        return sending != null;
    }

    @Override
    public final void handler(ChannelHandler next) {
        handler = next;
    }

    @Override
    public final void finish() {
        Sockets.shutdownSending(fd);
    }

    @Override
    public final void detach() {
        assert sending == null && fillLength == 0;
        if (!closed) {
            leave();
            handler.detached();
        }
    }

    @Override
    public final void close() {
        if (!closed) {
            leave();
            if (zeroCopy != null && zeroCopy.outstanding()) {
                loop.lingering().close(fd, zeroCopy);
            } else {
                Sockets.close(fd);
            }
        }
    }

    private void leave() {
        closed = true;
        sending = null;
        unregister();
        if (scatter != null) {
            scatter.close();
            scatter = null;
        }
    }

    @Override
    public final boolean isClosed() {
        return closed;
    }

    @Override
    public final int fd() {
        return fd;
    }
}

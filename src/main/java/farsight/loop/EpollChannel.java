package farsight.loop;

import farsight.buffer.Buffer;
import farsight.sys.Epoll;
import farsight.sys.IoVec;
import farsight.sys.Sockets;

/** A socket on an {@link EpollLoop}. */
final class EpollChannel implements Channel {
    private final EpollLoop loop;
    private final int fd;
    private final ChannelHandler handler;
    private int token;
    private int interest = Epoll.READABLE;
    private boolean closed;
    private boolean paused;
    private boolean touched;

    /** Where received bytes are diverted to, and how many are still to come. */
    private long fillAddress;

    private long fillLength;
    private IoVec scatter;
    private IoVec sending;

    EpollChannel(EpollLoop loop, int fd, ChannelHandler handler) {
        this.loop = loop;
        this.fd = fd;
        this.handler = handler;
    }

    void token(int token) {
        this.token = token;
    }

    // ---- events --------------------------------------------------------------------------------------------------

    void ready(int readiness) {
        if ((readiness & (Epoll.WRITABLE | Epoll.BROKEN)) != 0 && sending != null) {
            continueSending();
        }
        if (!closed && !paused && (readiness & (Epoll.READABLE | Epoll.BROKEN)) != 0) {
            receive();
        } else if (!closed && paused && (readiness & Epoll.BROKEN) != 0) {
            // Nobody reads a paused channel, so nothing else would tell that its peer is gone.
            broken(0);
        }
    }

    private void receive() {
        Buffer buffer = loop.receiveBuffer();
        if (buffer == null) {
            if (fillLength > 0) {
                receiveFill();
            } else {
                pause();
                loop.pool().onRelease(this::resume);
            }
        } else if (fillLength > 0) {
            receiveBoth(buffer);
        } else {
            long result = Sockets.receive(loop.callState(), fd, buffer.address(), buffer.capacity());
            if (arrived(result)) {
                handler.received(buffer, 0, (int) result);
            }
        }
    }

    private void receiveFill() {
        long result = Sockets.receive(loop.callState(), fd, fillAddress, fillLength);
        if (arrived(result)) {
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
        if (!arrived(result)) {
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

    private boolean arrived(long result) {
        if (result > 0) {
            return true;
        }
        if (result != -Sockets.EAGAIN && result != -Sockets.EINTR) {
            broken((int) -result);
        }
        return false;
    }

    void broken(int errno) {
        if (!closed) {
            close();
            handler.closed(errno);
        }
    }

    void turnOver() {
        touched = false;
        if (!closed) {
            handler.turnOver();
        }
    }

    // ---- Channel -------------------------------------------------------------------------------------------------

    @Override
    public void fill(long address, long length) {
        assert fillLength == 0 && length > 0;
        fillAddress = address;
        fillLength = length;
    }

    @Override
    public void pause() {
        paused = true;
        updateInterest();
    }

    @Override
    public void resume() {
        paused = false;
        updateInterest();
    }

    private void updateInterest() {
        int wanted = (paused ? 0 : Epoll.READABLE) | (sending == null ? 0 : Epoll.WRITABLE);
        if (!closed && wanted != interest) {
            interest = wanted;
            loop.interest(fd, token, wanted);
        }
    }

    @Override
    public void touch() {
        if (!touched) {
            touched = true;
            loop.touch(this);
        }
    }

    @Override
    public void send(IoVec pieces) {
        assert sending == null;
        if (!closed) {
            sending = pieces;
            continueSending();
        }
    }

    private void continueSending() {
        IoVec pieces = sending;
        while (!pieces.isEmpty()) {
            long result = Sockets.send(loop.callState(), fd, pieces);
            if (result >= 0) {
                pieces.advance(result);
            } else if (result == -Sockets.EAGAIN) {
                updateInterest();
                return;
            } else if (result != -Sockets.EINTR) {
                broken((int) -result);
                return;
            }
        }
        sending = null;
        updateInterest();
        handler.sent();
    }

    @Override
    public boolean sending() {
        return sending != null;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            sending = null;
            loop.unregister(fd, token);
            Sockets.close(fd);
            if (scatter != null) {
                scatter.close();
                scatter = null;
            }
        }
    }

    @Override
    public boolean isClosed() {
        return closed;
    }

    @Override
    public int fd() {
        return fd;
    }
}

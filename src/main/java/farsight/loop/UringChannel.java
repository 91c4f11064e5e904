package farsight.loop;

import farsight.sys.Uring;

/**
 * A socket on a {@link UringLoop}. One poll tells of all that arrives, so that pausing and going on cost nothing; whatever
 * it told of and was not received is remembered here.
 */
final class UringChannel extends StreamChannel implements UringLoop.Target {
    private static final int EVENTS = Uring.READABLE | Uring.ENDED;

    private final UringLoop loop;
    private final int slot;
    private boolean pollsIn;
    private boolean pollsOut;

    /** Whether there may be something to receive. */
    private boolean readable;

    /** Whether the peer has sent its last, so that there is always something to receive: the end. */
    private boolean ended;

    private boolean queued;

    UringChannel(UringLoop loop, int fd, ChannelHandler handler) {
        super(loop, fd, handler);
        this.loop = loop;
        slot = loop.register(this);
        pollIn();
    }

    private void pollIn() {
        pollsIn = true;
        loop.poll(fd(), EVENTS, true, slot, UringLoop.IN);
    }

    @Override
    public void completed(int kind, int result, int flags) {
        boolean again = (flags & Uring.MORE) != 0;
        if (kind == UringLoop.OUT) {
            pollsOut = false;
        } else {
            pollsIn = again;
        }
        if (isClosed()) {
            forget();
        } else if (result < 0) {
            broken(-result);
        } else {
            int events = withoutNotices(result, Uring.ERROR);
            if (kind == UringLoop.OUT) {
                writable();
            } else {
                arrived(events);
            }
        }
    }

    private void writable() {
        if (sending()) {
            continueSending();
        }
    }

    private void arrived(int events) {
        readable = true;
        ended |= (events & (Uring.ENDED | Uring.BROKEN)) != 0;
        if ((events & Uring.BROKEN) != 0 && sending()) {
            continueSending();
        }
        if (isClosed()) {
            return;
        }
        if (paused() && (events & Uring.BROKEN) != 0) {
            // Nobody reads a paused channel, so nothing else would tell that its peer is gone.
            broken(0);
            return;
        }
        if (!pollsIn) {
            pollIn();
        }
        receiveReadable();
    }

    private void receiveReadable() {
        if (isClosed() || paused() || !readable) {
            return;
        }
        if (receive() || ended) {
            comeAgain();
        } else {
            readable = false;
        }
    }

    /** Goes on in the next turn, when others had theirs. */
    private void comeAgain() {
        if (!queued && !isClosed() && !paused()) {
            queued = true;
            loop.again(this);
        }
    }

    void again() {
        queued = false;
        receiveReadable();
    }

    @Override
    void interestChanged() {
        if (isClosed()) {
            return;
        }
        if (sending() && !pollsOut) {
            pollsOut = true;
            loop.poll(fd(), Uring.WRITABLE, false, slot, UringLoop.OUT);
        }
        if (readable) {
            comeAgain();
        }
    }

    /** The ring has the socket open as well until its polls are over. */
    @Override
    void unregister() {
        if (pollsIn) {
            loop.cancel(slot, UringLoop.IN);
        }
        if (pollsOut) {
            loop.cancel(slot, UringLoop.OUT);
        }
        forget();
    }

    private void forget() {
        if (!pollsIn && !pollsOut) {
            loop.forget(slot);
        }
    }
}

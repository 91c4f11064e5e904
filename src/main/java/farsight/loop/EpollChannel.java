package farsight.loop;

import farsight.sys.Epoll;

/** A socket on an {@link EpollLoop}. */
final class EpollChannel extends StreamChannel {
    private final EpollLoop loop;
    private int token;
    private int interest = Epoll.READABLE;

    EpollChannel(EpollLoop loop, int fd, ChannelHandler handler) {
        super(loop, fd, handler);
        this.loop = loop;
    }

    void token(int token) {
        this.token = token;
    }

    void ready(int events) {
        int readiness = withoutNotices(events, Epoll.ERROR);
        if ((readiness & (Epoll.WRITABLE | Epoll.BROKEN)) != 0 && sending()) {
            continueSending();
        }
        if (isClosed()) {
            return;
        }
        if (!paused() && (readiness & (Epoll.READABLE | Epoll.BROKEN)) != 0) {
            receive();
        } else if (paused() && (readiness & Epoll.BROKEN) != 0) {
            // Nobody reads a paused channel, so nothing else would tell that its peer is gone.
            broken(0);
        }
    }

    @Override
    void interestChanged() {
        int wanted = (paused() ? 0 : Epoll.READABLE) | (sending() ? Epoll.WRITABLE : 0);
        if (!isClosed() && wanted != interest) {
            interest = wanted;
            loop.interest(fd(), token, wanted);
        }
    }

    @Override
    void unregister() {
        loop.unregister(fd(), token);
    }
}

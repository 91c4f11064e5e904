package farsight.server;

import farsight.config.Io;

/** The same by the other kind of loop. */
class DevicesOnEpollTest extends DevicesTest {
    @Override
    TestServer.Builder server() {
        return super.server().io(Io.EPOLL);
    }
}

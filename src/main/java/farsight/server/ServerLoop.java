package farsight.server;

import farsight.loop.IoLoop;
import farsight.sys.ErrnoException;
import farsight.sys.Memory;

/** What the connections of one loop share: its request objects and a piece of zeroes. Loop thread only. */
final class ServerLoop {
    /** How many zeroes are written at once to storage that cannot zero by itself. */
    static final int ZEROES = 256 << 10;

    private static final long ZERO_ADDRESS;

    static {
        try {
            // Never written, so that it is one shared page of the kernel's behind all addresses.
            ZERO_ADDRESS = Memory.map(ZEROES).address();
        } catch (ErrnoException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final IoLoop loop;
    private IoRequest free;
    private int requestsInUse;

    ServerLoop(IoLoop loop) {
        this.loop = loop;
    }

    IoLoop loop() {
        return loop;
    }

    static long zeroes() {
        return ZERO_ADDRESS;
    }

    IoRequest take(DeviceIo owner) {
        IoRequest request = free;
        if (request == null) {
            request = new IoRequest(loop);
        } else {
            free = request.link;
            request.link = null;
        }
        request.owner = owner;
        request.whole = request;
        requestsInUse++;
        return request;
    }

    void giveBack(IoRequest request) {
        request.recycle();
        request.link = free;
        free = request;
        requestsInUse--;
    }

    /** For tests and figures: requests that clients wait for, or that devices still hold. */
    int requestsInUse() {
        return requestsInUse;
    }
}

package farsight.server;

import farsight.loop.IoLoop;
import farsight.sys.ErrnoException;
import farsight.sys.Memory;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * What the connections of one loop share: its request objects, a piece of zeroes, and whether the loop may wait for their
 * storage. Loop thread only, where nothing else is said.
 */
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

    /** Connections that are on it or on their way to it. */
    private final AtomicInteger load = new AtomicInteger();

    private int connections;
    private final Map<Export, Integer> settled = new HashMap<>();
    private int reserved;

    ServerLoop(IoLoop loop) {
        this.loop = loop;
    }

    IoLoop loop() {
        return loop;
    }

    // ---- who is on it --------------------------------------------------------------------------------------------

    /** How many connections it has, with those that are on their way to it. Any thread. */
    int load() {
        return load.get();
    }

    /** Any thread. */
    void loads(int more) {
        load.addAndGet(more);
    }

    /** More than its connections depend on it from now on, until {@link #release}: it must not wait for storage. */
    void reserve() {
        reserved++;
        judge();
    }

    void release() {
        reserved--;
        judge();
    }

    /** A connection is on it. */
    void came() {
        connections++;
        judge();
    }

    /** A connection that {@link #came} uses an export from now on. */
    void settled(Export export) {
        settled.merge(export, 1, Integer::sum);
        judge();
    }

    /** @param export what it used; null when it had not come that far */
    void left(Export export) {
        connections--;
        if (export != null) {
            settled.computeIfPresent(export, (e, count) -> count == 1 ? null : count - 1);
        }
        judge();
    }

    /** It may wait for the storage of an export when nobody is on it but clients of that. */
    private void judge() {
        boolean alone = settled.size() == 1 && settled.containsValue(connections);
        loop.mayWait(alone && reserved == 0);
    }

    // ---- requests ------------------------------------------------------------------------------------------------

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

package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Errno;
import farsight.backend.Request;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.EventFd;
import farsight.sys.Poll;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.ConcurrentLinkedQueue;

/** The thread that a device is at home on when no loop is: submits what others want, and reaps what is complete. */
final class Reaper implements AutoCloseable {
    private final AsyncBlockDevice device;
    private final ConcurrentLinkedQueue<Request> wanted = new ConcurrentLinkedQueue<>();
    private final EventFd wake;
    private final Thread thread;
    private volatile boolean closing;

    Reaper(AsyncBlockDevice device) throws IOException {
        this.device = device;
        wake = new EventFd();
        thread = Thread.ofPlatform().name("layer-reaper").daemon(true).start(this::run);
    }

    void submit(Request request) {
        wanted.add(request);
        wake.signal();
    }

    private void run() {
        try (Arena arena = Arena.ofConfined();
                Poll poll = new Poll(2);
                CallState state = CallState.open()) {
            MemorySegment count = arena.allocate(ValueLayout.JAVA_LONG);
            while (!closing) {
                poll.clear();
                poll.readable(wake.fd());
                int completions = poll.readable(device.completionDescriptor());
                poll.await(-1);
                wake.drain(state);
                // Whether its descriptor blocks is the library's affair: it is read only when it has something.
                step(state, poll.ready(completions), count);
            }
        } catch (ErrnoException e) {
            throw new IllegalStateException(e);
        }
    }

    private void step(CallState state, boolean reapable, MemorySegment count) {
        boolean any = false;
        for (Request request = wanted.poll(); request != null; request = wanted.poll()) {
            try {
                device.submit(request);
                any = true;
            } catch (RuntimeException e) {
                request.fail(Errno.EIO);
            }
        }
        if (any) {
            device.submitted();
        }
        if (reapable) {
            EventFd.drain(device.completionDescriptor(), count, state);
        }
        device.reap();
    }

    @Override
    public void close() {
        closing = true;
        wake.signal();
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        wake.close();
    }
}

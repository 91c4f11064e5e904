package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Request;
import farsight.loop.IoLoop;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** A layer in which requests wait. On a loop they wait for its timer and go on there, for storage that is at home on it. */
abstract class Held extends PassThrough {
    /** For requests that come from elsewhere, such as another layer. */
    private final ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().name("layer-clock").daemon(true).factory());

    Held(AsyncBlockDevice below) {
        super(below);
    }

    /** Nanoseconds that a request has to wait; 0 or less for none. */
    abstract long wait(Request request);

    @Override
    public void submit(Request request) {
        long nanos = wait(request);
        if (nanos <= 0) {
            below.submit(request);
            return;
        }
        IoLoop loop = IoLoop.current();
        if (loop != null) {
            loop.after(Duration.ofNanos(nanos), () -> go(request));
        } else {
            clock.schedule(() -> go(request), nanos, TimeUnit.NANOSECONDS);
        }
    }

    private void go(Request request) {
        try {
            below.submit(request);
        } catch (RuntimeException e) {
            request.fail(farsight.backend.Errno.EIO);
            return;
        }
        below.submitted();
    }

    @Override
    public void close() throws IOException {
        clock.shutdown();
        super.close();
    }
}

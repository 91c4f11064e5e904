package farsight.backend.file;

import farsight.backend.Request;
import farsight.sys.CallState;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A few threads that make the blocking calls of one device, each with memory of its own for errno and the like. They are
 * started when there is work for them, and end when there has been none for a while or on {@link #close}.
 */
final class Workers {
    /** Does one request on a worker's thread. */
    interface Task {
        void run(Request request, CallState state);
    }

    private final String name;
    private final int most;
    private final Task task;
    private final BlockingQueue<Object> queue;
    private final AtomicInteger threads = new AtomicInteger();
    private final AtomicInteger idle = new AtomicInteger();
    private static final Object END = new Object();

    /** @param most threads at the same time */
    Workers(String name, int most, Task task) {
        this.name = name;
        this.most = most;
        this.task = task;
        // Never full: connections bound what is in flight. If it were, the loop would do the call itself, below.
        queue = new ArrayBlockingQueue<>(1 << 16);
    }

    void submit(Request request) {
        if (idle.get() <= queue.size() && threads.get() < most) {
            startThread();
        }
        if (!queue.offer(request)) {
            request.fail(farsight.backend.Errno.ENOMEM);
        }
    }

    private void startThread() {
        if (threads.incrementAndGet() > most) {
            threads.decrementAndGet();
            return;
        }
        Thread.ofPlatform().name(name + "-" + threads.get()).daemon(true).start(this::work);
    }

    private void work() {
        try (CallState state = CallState.open()) {
            while (true) {
                idle.incrementAndGet();
                Object next = queue.take();
                idle.decrementAndGet();
                if (!(next instanceof Request request)) {
                    break;
                }
                task.run(request, state);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            threads.decrementAndGet();
        }
    }

    /** Ends the threads, which have nothing to do any more. */
    void close() {
        for (int left = threads.get(); left > 0; left--) {
            queue.add(END);
        }
    }
}

package farsight.backend.file;

import farsight.backend.Request;
import farsight.sys.CallState;
import java.util.ArrayDeque;

/**
 * A few threads that make the blocking calls of one device, each with memory of its own for errno and the like. They are
 * started when there is work for them, and end on {@link #close}. They wait by the monitor of their queue, since each wait
 * of the queues and locks of java.util.concurrent makes an object.
 */
final class Workers {
    /** Does one request on a worker's thread. */
    interface Task {
        void run(Request request, CallState state);
    }

    /** Never reached: connections bound what is in flight. */
    private static final int MOST_QUEUED = 1 << 16;

    private final String name;
    private final int most;
    private final Task task;

    // Of the monitor of the queue.
    private final ArrayDeque<Request> queue = new ArrayDeque<>(256);
    private int threads;
    private int idle;
    private boolean closed;

    /** @param most threads at the same time */
    Workers(String name, int most, Task task) {
        this.name = name;
        this.most = most;
        this.task = task;
    }

    void submit(Request request) {
        boolean taken;
        int number = 0;
        synchronized (queue) {
            taken = queue.size() < MOST_QUEUED;
            if (taken) {
                queue.add(request);
                if (queue.size() > idle && threads < most) {
                    number = ++threads;
                }
                queue.notify();
            }
        }
        if (!taken) {
            request.fail(farsight.backend.Errno.ENOMEM);
        } else if (number > 0) {
            Thread.ofPlatform().name(name + "-" + number).daemon(true).start(this::work);
        }
    }

    private void work() {
        try (CallState state = CallState.open()) {
            Request request;
            while ((request = next()) != null) {
                task.run(request, state);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            synchronized (queue) {
                threads--;
            }
        }
    }

    /** Waits for one; null at the end. */
    private Request next() throws InterruptedException {
        synchronized (queue) {
            while (queue.isEmpty() && !closed) {
                idle++;
                try {
                    queue.wait();
                } finally {
                    idle--;
                }
            }
            return queue.poll();
        }
    }

    /** Ends the threads, which have nothing to do any more. */
    void close() {
        synchronized (queue) {
            closed = true;
            queue.notifyAll();
        }
    }
}

package farsight.loop;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/** Tasks from many threads for one: a stack that is taken whole and turned around. Lock-free, no allocation. */
final class TaskQueue {
    private static final VarHandle HEAD;

    static {
        try {
            HEAD = MethodHandles.lookup().findVarHandle(TaskQueue.class, "head", LoopTask.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    @SuppressWarnings("unused") // through HEAD
    private volatile LoopTask head;

    /** Adds a task. Any thread. */
    void add(LoopTask task) {
        LoopTask old;
        do {
            old = (LoopTask) HEAD.getVolatile(this);
            task.next = old;
        } while (!HEAD.compareAndSet(this, old, task));
    }

    boolean isEmpty() {
        return HEAD.getVolatile(this) == null;
    }

    /** All tasks so far, oldest first, linked by {@code next}; null when there are none. Only the loop. */
    LoopTask takeAll() {
        if (isEmpty()) {
            return null;
        }
        LoopTask newestFirst = (LoopTask) HEAD.getAndSet(this, null);
        LoopTask oldestFirst = null;
        while (newestFirst != null) {
            LoopTask rest = newestFirst.next;
            newestFirst.next = oldestFirst;
            oldestFirst = newestFirst;
            newestFirst = rest;
        }
        return oldestFirst;
    }
}

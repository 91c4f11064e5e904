package farsight.sys;

import java.lang.invoke.MethodHandles;

/**
 * Links the system's functions on a thread of its own, while a server still reads its words and files: it takes a fifth of
 * a start. Whoever calls a function meanwhile waits until it is linked, as ever.
 */
public final class EarlyLinking implements Runnable {
    private EarlyLinking() {}

    /** Begins, unless there is no other processor to do it on. Any thread. */
    public static void begin() {
        if (Runtime.getRuntime().availableProcessors() > 1) {
            Thread thread = new Thread(null, new EarlyLinking(), "link");
            thread.setDaemon(true);
            thread.start();
        }
    }

    @Override
    public void run() {
        // In the order in which a server comes to them; none of them waits for one that waits for it.
        initialize(Native.class);
        initialize(Call.class);
        initialize(CallState.class);
        initialize(IoVec.class);
        initialize(Memory.class);
        initialize(EventFd.class);
        initialize(Uring.class);
        initialize(Sockets.class);
    }

    private static void initialize(Class<?> type) {
        try {
            MethodHandles.lookup().ensureInitialized(type);
        } catch (IllegalAccessException | LinkageError e) {
            // Whoever uses it is told.
        }
    }
}

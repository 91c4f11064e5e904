package farsight.sys;

import java.lang.invoke.MethodHandles;

/**
 * Links the system's functions on a thread of its own, while the program still reads its words: it takes a third of a
 * start, and needs nothing of what the words say. Whoever calls a function meanwhile waits until it is linked, as ever.
 */
public final class EarlyLinking implements Runnable {
    private final boolean server;

    private EarlyLinking(boolean server) {
        this.server = server;
    }

    /**
     * Begins, unless there is no other processor to do it on. Any thread.
     *
     * @param server whether sockets are to be served, or only few functions are needed
     */
    public static void begin(boolean server) {
        if (Runtime.getRuntime().availableProcessors() > 1) {
            Thread thread = new Thread(null, new EarlyLinking(server), "link");
            thread.setDaemon(true);
            thread.start();
        }
    }

    @Override
    public void run() {
        if (!server) {
            initialize(QuickCalls.class);
            return;
        }
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

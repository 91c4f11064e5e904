package farsight.loop;

/** The thread of a loop, which knows whose it is. */
final class LoopThread extends Thread {
    private final EventLoop loop;

    LoopThread(EventLoop loop, String name, Runnable work) {
        super(work, name);
        this.loop = loop;
        setDaemon(true);
    }

    EventLoop loop() {
        return loop;
    }
}

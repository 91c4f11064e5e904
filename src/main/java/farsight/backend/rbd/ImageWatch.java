package farsight.backend.rbd;

import java.util.ArrayList;
import java.util.List;

/** The thread that looks after all images of this process, a few times a second. It makes no garbage while all is well. */
final class ImageWatch implements Runnable {
    static final ImageWatch PROCESS = new ImageWatch();

    private static final long BUSY_MILLIS = 250;
    private static final long IDLE_MILLIS = 1000;

    private final List<LostWatch> images = new ArrayList<>();
    private boolean running;

    private ImageWatch() {}

    synchronized void add(LostWatch image) {
        images.add(image);
        if (!running) {
            running = true;
            Thread.ofPlatform().name("rbd-watch").daemon(true).start(this);
        }
    }

    /** Without effect when it was removed before. */
    synchronized void remove(LostWatch image) {
        images.remove(image);
    }

    @Override
    public void run() {
        boolean busy = true;
        do {
            try {
                Thread.sleep(busy ? BUSY_MILLIS : IDLE_MILLIS);
            } catch (InterruptedException e) {
                // Nobody interrupts it.
            }
            busy = BatchScheduling.PROCESS.look();
        } while (look());
    }

    /** False when there is nothing to look after any more. */
    private synchronized boolean look() {
        long now = System.nanoTime();
        for (int i = 0; i < images.size(); i++) {
            images.get(i).look(now);
        }
        running = !images.isEmpty();
        return running;
    }
}

package farsight.backend.rbd;

import farsight.sys.ErrnoException;
import farsight.sys.ProcessorTime;
import farsight.sys.Scheduling;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * How the kernel schedules the threads that carry requests of images: those of librbd and the images' home loops. A
 * request goes through three of them and back. When many are under way, or processors have nothing to do, it is quicker if
 * a woken thread does not interrupt the one that woke it (SCHED_BATCH): that one goes on to the next request, and the
 * other finds several. With few requests on a busy machine it would only have to wait.
 */
final class BatchScheduling {
    /** For all images of this process. */
    static final BatchScheduling PROCESS = new BatchScheduling();

    private static final Logger LOG = System.getLogger(BatchScheduling.class.getName());
    private static final Path THREADS = Path.of("/proc/self/task");

    /** So many requests under way are many; fewer than the other are few. */
    private static final int MANY = 20;

    private static final int FEW = 17;

    /** Processors are idle when they are for more than this part of the time; and busy with less than the other. */
    private static final double IDLE = 0.35;

    private static final double BUSY = 0.25;

    private final List<PendingRequests> watched = new ArrayList<>();
    private final ProcessorTime processors = new ProcessorTime();
    private boolean batch;

    /** Others look after that already, by {@code [server] batch} or for a program that serves among other things. */
    private boolean managed;

    private boolean started;

    /** There are threads that have not been told. */
    private boolean changed;

    private long lastIdle;

    /** 0 when nothing has been measured lately. */
    private long lastTotal;

    private BatchScheduling() {}

    synchronized void add(PendingRequests pending) {
        if (!started) {
            started = true;
            managed = threads().stream().anyMatch(Scheduling::isBatch);
        }
        watched.add(pending);
        changed = true;
    }

    /** Without effect when it was not added, or removed before. */
    synchronized void remove(PendingRequests pending) {
        watched.remove(pending);
    }

    /** Called again and again; whether there was something to do for images. */
    synchronized boolean look() {
        int underWay = 0;
        boolean known = true;
        for (int i = 0; i < watched.size(); i++) {
            underWay += watched.get(i).count();
            known &= watched.get(i).thread() > 0;
        }
        boolean wanted = batch && !watched.isEmpty();
        if (underWay == 0) {
            lastTotal = 0;
        } else {
            wanted = isQuicker(underWay);
        }
        if (!managed && (wanted != batch || wanted && changed)) {
            batch = wanted;
            changed = !known;
            if (batch) {
                begin();
            } else {
                end();
            }
        }
        return underWay > 0;
    }

    private boolean isQuicker(int underWay) {
        double idle = idle();
        return batch ? underWay >= FEW || idle > BUSY : underWay >= MANY || idle > IDLE;
    }

    /** The part of the time since the last call in which processors had nothing to do (proc_stat(5)); undecided at first. */
    private double idle() {
        double part = (IDLE + BUSY) / 2;
        if (processors.update()) {
            long total = processors.total() - lastTotal;
            if (lastTotal != 0 && total > 0) {
                part = (double) (processors.idle() - lastIdle) / total;
            }
            lastIdle = processors.idle();
            lastTotal = processors.total();
        }
        return part;
    }

    private void begin() {
        Set<Integer> homes = new HashSet<>();
        watched.forEach(pending -> homes.add(pending.thread()));
        for (int thread : threads()) {
            if (Scheduling.isDefault(thread) && (homes.contains(thread) || isOfLibrbd(thread))) {
                schedule(thread, true);
            }
        }
    }

    /** Also for those that threads in batches have started, which are born as such. */
    private static void end() {
        for (int thread : threads()) {
            if (Scheduling.isBatch(thread)) {
                schedule(thread, false);
            }
        }
    }

    private static boolean isOfLibrbd(int thread) {
        try {
            String name = Files.readString(THREADS.resolve(thread + "/comm"));
            return name.startsWith("msgr-worker-") || name.startsWith("io_context_pool");
        } catch (IOException e) {
            return false; // it has ended
        }
    }

    /** The kernel's numbers of all threads of this process. */
    private static Set<Integer> threads() {
        Set<Integer> all = new HashSet<>();
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(THREADS)) {
            for (Path thread : threads) {
                all.add(Integer.valueOf(thread.getFileName().toString()));
            }
        } catch (IOException | RuntimeException e) {
            LOG.log(Level.DEBUG, "the threads of this process: {0}", e.getMessage());
        }
        return all;
    }

    private static void schedule(int thread, boolean batch) {
        try {
            Scheduling.batch(thread, batch);
        } catch (ErrnoException e) {
            LOG.log(Level.DEBUG, "thread {0}: {1}", Integer.toString(thread), e.getMessage());
        }
    }
}

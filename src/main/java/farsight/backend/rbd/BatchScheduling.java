package farsight.backend.rbd;

import farsight.sys.ErrnoException;
import farsight.sys.Scheduling;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;

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
    private static final Path PROCESSORS = Path.of("/proc/stat");
    private static final long LOOK_MILLIS = 250;
    private static final long IDLE_MILLIS = 1000;

    /** So many requests under way are many; fewer than the other are few. */
    private static final int MANY = 20;

    private static final int FEW = 17;

    /** Processors are idle when they are for more than this part of the time; and busy with less than the other. */
    private static final double IDLE = 0.35;

    private static final double BUSY = 0.25;

    private final Set<PendingRequests> watched = new HashSet<>();

    /** The threads that were made to work in batches here. */
    private final Set<Integer> changedHere = new HashSet<>();

    private boolean looking;
    private boolean batch;

    /** Somebody is to be told again: there are other threads. */
    private boolean changed;

    private long lastIdle;
    private long lastTotal;

    private BatchScheduling() {}

    synchronized void add(PendingRequests pending) {
        watched.add(pending);
        changed = true;
        if (!looking) {
            looking = true;
            LostWatch.TIMER.schedule(this::look, LOOK_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    synchronized void remove(PendingRequests pending) {
        watched.remove(pending);
    }

    private synchronized void look() {
        int underWay = 0;
        for (PendingRequests pending : watched) {
            underWay += pending.count();
        }
        boolean wanted = underWay > 0 ? isQuicker(underWay) : batch && !watched.isEmpty();
        if (wanted != batch || wanted && changed) {
            batch = wanted;
            changed = false;
            schedule();
        }
        looking = !watched.isEmpty();
        if (looking) {
            LostWatch.TIMER.schedule(this::look, underWay > 0 ? LOOK_MILLIS : IDLE_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private boolean isQuicker(int underWay) {
        double idle = idle();
        return batch ? underWay >= FEW || idle > BUSY : underWay >= MANY || idle > IDLE;
    }

    /** The part of the time since the last call in which processors had nothing to do (proc_stat(5)). */
    private double idle() {
        try (BufferedReader reader = Files.newBufferedReader(PROCESSORS)) {
            String[] fields = reader.readLine().trim().split(" +");
            long total = 0;
            for (int i = 1; i <= 8; i++) {
                total += Long.parseLong(fields[i]);
            }
            long idle = Long.parseLong(fields[4]) + Long.parseLong(fields[5]);
            double part = total == lastTotal ? 0 : (double) (idle - lastIdle) / (total - lastTotal);
            lastIdle = idle;
            lastTotal = total;
            return part;
        } catch (IOException | RuntimeException e) {
            return 0;
        }
    }

    private void schedule() {
        for (PendingRequests pending : watched) {
            if (pending.thread() > 0) {
                schedule(pending.thread());
            }
        }
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(THREADS)) {
            for (Path thread : threads) {
                String name = Files.readString(thread.resolve("comm"));
                if (name.startsWith("msgr-worker-") || name.startsWith("io_context_pool")) {
                    schedule(Integer.parseInt(thread.getFileName().toString()));
                }
            }
        } catch (IOException | RuntimeException e) {
            LOG.log(Level.DEBUG, "threads of librbd: {0}", e.getMessage());
        }
    }

    private void schedule(int thread) {
        try {
            if (Scheduling.isBatch(thread) == batch || !batch && !changedHere.remove(thread)) {
                return; // as it is configured to be always
            }
            Scheduling.batch(thread, batch);
            if (batch) {
                changedHere.add(thread);
            }
        } catch (ErrnoException e) {
            LOG.log(Level.DEBUG, "thread {0}: {1}", Integer.toString(thread), e.getMessage());
        }
    }
}

package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.sched_param;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** How the kernel shares the processors out (sched(7)). */
public final class Scheduling {
    private static final Call SCHED_SETSCHEDULER = Native.call("sched_setscheduler", 3);

    /** linux/prctl.h, since Linux 5.6. */
    private static final int PR_SET_IO_FLUSHER = 57;

    private Scheduling() {}

    /**
     * Says that a block device waits for the calling thread: memory that it needs is not got by writing to that device
     * (PR_SET_IO_FLUSHER). Without the right to (CAP_SYS_RESOURCE), or before Linux 5.6, it stays as it is.
     */
    public static void servesBlockDevice() {
        try (CallState state = CallState.open()) {
            state.check((int) Prctl.CALL.invoke(state, PR_SET_IO_FLUSHER, 1, 0, 0, 0));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Linked when it is needed, which most programs never do. */
    private static final class Prctl {
        static final Call CALL = Native.call("prctl", 5);
    }

    /** Linked when it is needed, which is with images only. */
    private static final class Policy {
        static final Call CALL = Native.call("sched_getscheduler", 1);
    }

    /** The kernel's number of the calling thread; 0 when it cannot be told. (glibc has gettid(2) since 2.30.) */
    public static int currentThread() {
        try {
            Path thread = java.nio.file.Files.readSymbolicLink(Path.of("/proc/thread-self"));
            return Integer.parseInt(thread.getFileName().toString());
        } catch (IOException | NumberFormatException e) {
            return 0;
        }
    }

    /** Whether a thread of this process, by the kernel's number, works in batches (SCHED_BATCH). */
    public static boolean isBatch(int thread) {
        return policy(thread) == Linux.SCHED_BATCH();
    }

    /** Whether a thread of this process, by the kernel's number, is scheduled as threads are by default (SCHED_OTHER). */
    public static boolean isDefault(int thread) {
        return policy(thread) == Linux.SCHED_OTHER();
    }

    private static int policy(int thread) {
        try (CallState state = CallState.open()) {
            return (int) Policy.CALL.invoke(state, thread);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /**
     * Makes the calling thread, and the threads that it starts from now on, one that works in batches (SCHED_BATCH): when
     * it is woken, whatever runs is not interrupted for it.
     */
    public static void batch() throws ErrnoException {
        batch(0, true);
    }

    /**
     * The same for a thread of this process, and back again.
     *
     * @param thread the kernel's number; 0 for the calling thread
     * @param batch false for as threads are by default (SCHED_OTHER)
     * @throws ErrnoException ESRCH when there is no such thread any more
     */
    public static void batch(int thread, boolean batch) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment parameter = arena.allocate(sched_param.layout());
            long address = parameter.address();
            int policy = batch ? Linux.SCHED_BATCH() : Linux.SCHED_OTHER();
            ErrnoException.check(
                    "sched_setscheduler", state.check((int) SCHED_SETSCHEDULER.invoke(state, thread, policy, address)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }
}

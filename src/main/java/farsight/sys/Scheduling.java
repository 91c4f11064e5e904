package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.sched_param;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

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

    /**
     * Makes the calling thread, and the threads that it starts from now on, one that works in batches (SCHED_BATCH): when
     * it is woken, whatever runs is not interrupted for it.
     */
    public static void batch() throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment parameter = arena.allocate(sched_param.layout());
            long address = parameter.address();
            int policy = Linux.SCHED_BATCH();
            ErrnoException.check(
                    "sched_setscheduler", state.check((int) SCHED_SETSCHEDULER.invoke(state, 0, policy, address)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }
}

package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.sched_param;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** How the kernel shares the processors out (sched(7)). */
public final class Scheduling {
    private static final Call SCHED_SETSCHEDULER = Native.call("sched_setscheduler", 3);

    private Scheduling() {}

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

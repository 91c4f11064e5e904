package farsight.sys;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** What all processors have done so far, by the first line of /proc/stat (proc_stat(5)). One thread; makes no garbage. */
public final class ProcessorTime {
    private static final Call PREAD = Native.call("pread", 4);

    /** The line has ten numbers. */
    private static final int LINE = 256;

    private static final int IDLE = 3;
    private static final int IO_WAIT = 4;

    /** Those after it are parts of the first two. */
    private static final int STEAL = 7;

    private final CallState state = CallState.forever();
    private final MemorySegment line = Arena.global().allocate(LINE);
    private int fd;
    private long idle;
    private long total;

    /** Of a system that does not tell, {@link #update} says so. */
    public ProcessorTime() {
        try {
            fd = QuickCalls.open("/proc/stat", QuickCalls.READ_ONLY);
        } catch (ErrnoException e) {
            fd = -1;
        }
    }

    /** Reads it anew; false when it cannot be read. */
    public boolean update() {
        long length;
        try {
            length = fd < 0 ? -1 : PREAD.invoke(state, fd, line.address(), LINE, 0);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
        idle = 0;
        total = 0;
        int field = -1;
        long number = 0;
        boolean digits = false;
        for (int i = 0; i < length && field <= STEAL; i++) {
            byte letter = line.get(ValueLayout.JAVA_BYTE, i);
            if (letter >= '0' && letter <= '9') {
                field += digits ? 0 : 1;
                number = (digits ? number * 10 : 0) + letter - '0';
                digits = true;
            } else if (digits) {
                digits = false;
                total += number;
                idle += field == IDLE || field == IO_WAIT ? number : 0;
                if (field == STEAL || letter == '\n') {
                    return true;
                }
            }
        }
        return false;
    }

    /** Ticks of all processors together in which they had nothing to do. */
    public long idle() {
        return idle;
    }

    /** All ticks. */
    public long total() {
        return total;
    }
}

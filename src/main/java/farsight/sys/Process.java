package farsight.sys;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import farsight.bindings.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What the system knows of this process: user, page size, texts of errors. */
public final class Process {
    private static final Call GETEUID = Native.call("geteuid", 0);
    private static final Call SYSCONF = Native.call("sysconf", 1);
    private static final Call STRERROR_R = Native.call("strerror_r", 3);
    private static final Call CLOSE = Native.call("close", 1);

    private Process() {}

    /** The effective user id; 0 is root. */
    public static int effectiveUser() {
        try (CallState state = CallState.open()) {
            return (int) GETEUID.invoke(state);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Bytes of a page of memory. */
    public static long pageSize() {
        try (CallState state = CallState.open()) {
            return SYSCONF.invoke(state, Linux._SC_PAGESIZE());
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Closes a descriptor. EINTR counts as closed, as on Linux it is (close(2)). */
    public static void close(int fd) {
        try (CallState state = CallState.open()) {
            int ignored = (int) CLOSE.invoke(state, fd);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    static String errorText(int errno) {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment buffer = arena.allocate(256);
            // GNU strerror_r: the text is where it says, which need not be the buffer.
            long text = STRERROR_R.invoke(state, errno, buffer.address(), buffer.byteSize());
            MemorySegment bytes = Native.view(text, 256);
            StringBuilder out = new StringBuilder();
            for (int i = 0; i < 256 && bytes.get(JAVA_BYTE, i) != 0; i++) {
                out.append((char) bytes.get(JAVA_BYTE, i));
            }
            return out.toString();
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }
}

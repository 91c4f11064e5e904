package farsight.sys;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import farsight.bindings.linux.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** What the system knows of this process: user, page size, texts of errors. */
public final class Process {
    private static final MethodHandle GETEUID = Native.errno("geteuid", Linux.geteuid$descriptor());
    private static final MethodHandle SYSCONF = Native.errno("sysconf", Linux.sysconf$descriptor());
    private static final MethodHandle STRERROR_R = Native.errno("strerror_r", Linux.strerror_r$descriptor());
    private static final MethodHandle CLOSE = Native.errno("close", Linux.close$descriptor());

    private Process() {}

    /** The effective user id; 0 is root. */
    public static int effectiveUser() {
        try (CallState state = CallState.open()) {
            return (int) GETEUID.invokeExact(state.segment);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Bytes of a page of memory. */
    public static long pageSize() {
        try (CallState state = CallState.open()) {
            return (long) SYSCONF.invokeExact(state.segment, Linux._SC_PAGESIZE());
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Closes a descriptor. EINTR counts as closed, as on Linux it is (close(2)). */
    public static void close(int fd) {
        try (CallState state = CallState.open()) {
            int ignored = (int) CLOSE.invokeExact(state.segment, fd);
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    static String errorText(int errno) {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment buffer = arena.allocate(256);
            // GNU strerror_r: the text is where it says, which need not be the buffer.
            long text = (long) STRERROR_R.invokeExact(state.segment, errno, buffer.address(), buffer.byteSize());
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

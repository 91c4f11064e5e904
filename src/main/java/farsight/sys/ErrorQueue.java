package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.cmsghdr;
import farsight.bindings.linux.msghdr;
import farsight.bindings.linux.sock_extended_err;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Reads from the error queues of sockets which sends without a copy are over (MSG_ZEROCOPY, linux/errqueue.h,
 * Documentation/networking/msg_zerocopy.rst). One thread; allocates nothing.
 */
public final class ErrorQueue implements AutoCloseable {
    private static final Call RECVMSG = Native.call("recvmsg", 3);
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final long CONTROL = 256;
    private static final long HEADER = cmsghdr.layout().byteSize();
    private static final long LEAST = HEADER + sock_extended_err.layout().byteSize();

    private final Arena arena = Arena.ofShared();
    private final MemorySegment control = arena.allocate(CONTROL, 8);
    private final MemorySegment message = arena.allocate(msghdr.layout());
    private final MemorySegment error = control.asSlice(HEADER);
    private int first;
    private int last;
    private boolean copied;

    /**
     * Takes the next message off a socket's queue.
     *
     * @return whether it was one about sends without a copy: {@link #first}, {@link #last} and {@link #copied} tell of it.
     *     False when there is none, or one about something else, which the next call of the socket tells as well
     */
    public boolean next(CallState state, int fd) {
        message.set(WORD, msghdr.msg_control$offset(), control.address());
        message.set(WORD, msghdr.msg_controllen$offset(), CONTROL);
        long result;
        try {
            result = RECVMSG.invoke(state, fd, message.address(), Linux.MSG_ERRQUEUE());
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
        if (result < 0 || message.get(WORD, msghdr.msg_controllen$offset()) < LEAST) {
            return false;
        }
        int level = control.get(INT, cmsghdr.cmsg_level$offset());
        int type = control.get(INT, cmsghdr.cmsg_type$offset());
        boolean known = level == Linux.SOL_IP() && type == Linux.IP_RECVERR()
                || level == Linux.SOL_IPV6() && type == Linux.IPV6_RECVERR();
        int origin = error.get(ValueLayout.JAVA_BYTE, sock_extended_err.ee_origin$offset());
        if (!known || origin != Linux.SO_EE_ORIGIN_ZEROCOPY()) {
            return false;
        }
        first = error.get(INT, sock_extended_err.ee_info$offset());
        last = error.get(INT, sock_extended_err.ee_data$offset());
        int code = error.get(ValueLayout.JAVA_BYTE, sock_extended_err.ee_code$offset());
        copied = (code & Linux.SO_EE_CODE_ZEROCOPY_COPIED()) != 0;
        return true;
    }

    /** The number of the first send that is over; a socket counts those that took something from 0 on, modulo 2^32. */
    public int first() {
        return first;
    }

    /** The number of the last one; all between are over as well. */
    public int last() {
        return last;
    }

    /** Whether the system made a copy after all: there is nothing to gain on this connection. */
    public boolean copied() {
        return copied;
    }

    @Override
    public void close() {
        arena.close();
    }
}

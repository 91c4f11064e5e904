package farsight.sys;

/** ioctl(2) with one argument, a number or an address. */
final class Ioctl {
    private static final Call IOCTL = Native.call("ioctl", 3);

    private Ioctl() {}

    /** The result, or {@code -errno}. */
    static int call(CallState state, int fd, long request, long argument) {
        try {
            // _IOC numbers are 32 bits without a sign; jextract prints the large ones as negative ints.
            return state.check((int) IOCTL.invoke(state, fd, request & 0xffff_ffffL, argument));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    static int call(String what, int fd, long request, long argument) throws ErrnoException {
        try (CallState state = CallState.open()) {
            return ErrnoException.check(what, call(state, fd, request, argument));
        }
    }
}

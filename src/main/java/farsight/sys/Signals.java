package farsight.sys;

/** What a signal does to this process (signal(2)). */
public final class Signals {
    private static final Call SIGNAL = Native.call("signal", 2);

    /** SIG_DFL of signal(2), which is a cast that jextract cannot print. */
    private static final long DEFAULT = 0;

    private Signals() {}

    /** From now on SIGINT and SIGTERM end the process at once, whatever it is doing. */
    public static void endAtOnce() {
        restore(farsight.bindings.signals.Signals.SIGINT());
        restore(farsight.bindings.signals.Signals.SIGTERM());
    }

    private static void restore(int number) {
        try (CallState state = CallState.open()) {
            long before = SIGNAL.invoke(state, number, DEFAULT);
        }
    }
}

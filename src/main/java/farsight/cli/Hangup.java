package farsight.cli;

import java.lang.reflect.Proxy;

/** What is done at each SIGHUP, in place of the end of the process. */
final class Hangup {
    private Hangup() {}

    /** Runs {@code task} at each one from now on, on a thread of its own. */
    static void onSignal(Runnable task) {
        // The virtual machine's own way to be told of a signal safely. By reflection, because the compiler has a
        // warning
        // for the package that cannot be turned off; it is exported by jdk.unsupported, which stays (JEP 260).
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Object runs = Proxy.newProxyInstance(
                    handler.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
                        task.run();
                        return null;
                    });
            signal.getMethod("handle", signal, handler)
                    .invoke(null, signal.getConstructor(String.class).newInstance("HUP"), runs);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError("a module of every JDK", e);
        }
    }
}

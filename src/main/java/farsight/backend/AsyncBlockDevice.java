package farsight.backend;

/**
 * Storage whose requests are completed later: for libraries with asynchronous calls of their own, such as librbd.
 *
 * <p>{@link #submit} is called on an event loop and must not block; different loops may call at the same time. Requests
 * have been checked against {@link #size}, {@link #blockSizes}, {@link #readOnly} and {@link #features}: only commands
 * whose feature is advertised arrive (zeroes are written by the server otherwise).
 */
public non-sealed interface AsyncBlockDevice extends Device {

    /**
     * Starts a request. It is completed exactly once, by {@link Request#complete} or {@link Request#fail}, before this
     * returns or later and on any thread. An exception thrown from here fails the request with NBD_EIO.
     */
    void submit(Request request);

    /**
     * Called on the loop after a batch of {@link #submit} calls: storage that gathers requests starts them now. The
     * default does nothing.
     */
    default void submitted() {}

    /**
     * An eventfd(2) that is written to whenever requests wait to be completed by {@link #reap}, for libraries that signal
     * one; -1, the default, when the device completes requests by itself. Constant while the device is open, and not to
     * be read by the device. Such a device belongs to one loop: {@link #submit}, {@link #submitted} and {@link #reap} are
     * all called on that loop's thread, for all connections.
     */
    default int completionDescriptor() {
        return -1;
    }

    /** Completes what is finished, until nothing is: called after {@link #completionDescriptor} was written to. */
    default void reap() {}
}

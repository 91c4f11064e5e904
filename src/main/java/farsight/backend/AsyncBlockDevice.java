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
}

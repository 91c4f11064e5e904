package farsight.config;

/** The system's facility that a server's loops stand on. */
public enum Io {
    /** The one that is faster here, of those that are to be had. */
    AUTO,
    /** io_uring(7), or epoll where the system has none or forbids it. */
    URING,
    /** epoll(7). */
    EPOLL
}

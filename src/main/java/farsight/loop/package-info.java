/**
 * Event loops. A loop is one thread that owns channels and their state: it receives into its own buffers, hands the
 * bytes over, and lets everything that was touched in a turn send once at the turn's end. Other threads reach it through
 * a queue of tasks. The way to the kernel (epoll, io_uring) is behind {@link farsight.loop.IoLoop}.
 */
package farsight.loop;

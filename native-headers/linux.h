/*
 * What Farsight calls of the Linux kernel and of libc, as one translation unit for jextract.
 * linux.args names the exact symbols; bindings/farsight/bindings/linux is what jextract printed for them.
 * Regenerate: mvn -Pjextract -Djextract=/path/to/jextract process-sources
 */
#define _GNU_SOURCE
#include <features.h>
/* glibc declares socket addresses as a transparent union for GNU C, which jextract cannot print: ask for plain pointers. */
#pragma push_macro("__GNUC_PREREQ")
#undef __GNUC_PREREQ
#define __GNUC_PREREQ(major, minor) 0
#include <sys/socket.h>
#pragma pop_macro("__GNUC_PREREQ")

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/genetlink.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/nbd-netlink.h>
#include <linux/nbd.h>
#include <linux/netlink.h>
#include <linux/openat2.h>

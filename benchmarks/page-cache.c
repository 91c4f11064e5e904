/*
 * What it costs to send blocks of a file from the page cache: processor time of the sending thread and wall time per
 * block, for the ways that a server has. The other end of the socket is read by a thread.
 *
 *   gcc -O2 -o /tmp/page-cache benchmarks/page-cache.c -lpthread && /tmp/page-cache FILE unix|tcp
 *
 * FILE: some 512 MiB that were read before.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { COPY, COPY_HUGE, MAPPED, SENDFILE, COPY_EACH, WAYS };
static const char *names[] = {"pread, gathered send", "same, huge pages", "mapped, gathered send", "sendfile each",
                              "pread and send each"};
static const long HUGE = 2 << 20, MEMORY = 32 << 20;
static int ends[2], file;
static char *mapping, *memory, header[16];

static void die(const char *what) { perror(what); exit(1); }

static void *drain(void *sink) {
    while (read(ends[1], sink, 1 << 20) > 0) {}
    return NULL;
}

static double seconds(struct timeval a, struct timeval b) { return a.tv_sec + b.tv_sec + (a.tv_usec + b.tv_usec) / 1e6; }

static double processor(void) {
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return seconds(usage.ru_utime, usage.ru_stime);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void send_all(struct iovec *pieces, int count) {
    while (count > 0) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
        ssize_t sent = sendmsg(ends[0], &message, MSG_NOSIGNAL);
        if (sent < 0) die("sendmsg");
        for (; count > 0 && sent >= (ssize_t)pieces->iov_len; pieces++, count--) sent -= pieces->iov_len;
        if (count > 0) {
            pieces->iov_base = (char *)pieces->iov_base + sent;
            pieces->iov_len -= sent;
        }
    }
}

static void send_file(off_t at, size_t left) {
    send(ends[0], header, sizeof header, MSG_MORE | MSG_NOSIGNAL);
    while (left > 0) {
        ssize_t sent = sendfile(ends[0], file, &at, left);
        if (sent <= 0) die("sendfile");
        left -= sent;
    }
}

/* One turn of a server: a batch of blocks at random places. */
static void turn(int way, int size, int batch, long blocks, unsigned *random) {
    struct iovec pieces[128];
    int count = 0;
    for (int i = 0; i < batch; i++) {
        *random = *random * 1103515245 + 12345;
        off_t at = (off_t)((*random >> 4) % blocks) * size;
        if (way == SENDFILE) {
            send_file(at, size);
            continue;
        }
        char *block = way == MAPPED ? mapping + at : way == COPY_EACH ? memory : memory + (size_t)i * size;
        if (way != MAPPED && pread(file, block, size, at) != size) die("pread");
        pieces[count++] = (struct iovec){header, sizeof header};
        pieces[count++] = (struct iovec){block, size};
        if (way == COPY_EACH) {
            send_all(pieces, count);
            count = 0;
        }
    }
    send_all(pieces, count);
}

static void connect_tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, length) || listen(listener, 1)) die("listen");
    getsockname(listener, (void *)&address, &length);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[0], (void *)&address, length)) die("connect");
    ends[1] = accept(listener, NULL, NULL);
    setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int main(int count, char **words) {
    static const int sizes[] = {4 << 10, 128 << 10, 1 << 20}, batches[] = {32, 4, 2}, totals[] = {133000, 8000, 1000};
    if (count != 3) return fprintf(stderr, "usage: page-cache FILE unix|tcp\n"), 2;
    if ((file = open(words[1], O_RDONLY)) < 0) die(words[1]);
    off_t length = lseek(file, 0, SEEK_END);
    if (strcmp(words[2], "tcp") == 0) connect_tcp();
    else if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) die("socketpair");
    pthread_t reader;
    pthread_create(&reader, NULL, drain, malloc(1 << 20));
    mapping = mmap(NULL, length, PROT_READ, MAP_SHARED, file, 0);
    char *any = mmap(NULL, MEMORY + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory = (char *)(((unsigned long)any + HUGE - 1) & ~(HUGE - 1));
    unsigned random = 1;
    for (int k = 0; k < 3; k++)
        for (int repeat = 0; repeat < 3; repeat++)
            for (int way = 0; way < WAYS; way++) {
                mmap(memory, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
                madvise(memory, MEMORY, way == COPY_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
                memset(memory, 1, MEMORY);
                double began = processor(), start = now();
                for (int i = 0; i < totals[k]; i += batches[k]) turn(way, sizes[k], batches[k], length / sizes[k], &random);
                printf("%s %7d x%-2d %-22s %8.2f us of processor %8.2f us\n", words[2], sizes[k], batches[k], names[way],
                       (processor() - began) / totals[k] * 1e6, (now() - start) / totals[k] * 1e6);
            }
    return 0;
}

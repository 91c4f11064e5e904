/*
 * The cheapest NBD client that still asks for everything it is told: one thread, many connections, requests sent in
 * batches, replies received in bulk and only their headers looked at. fio's nbd engine is the bound of a quick server on
 * two processors; this is what shows the rest.
 *
 *   cc -O2 -o hammer hammer.c
 *   hammer URI read|write BLOCKSIZE DEPTH CONNECTIONS SECONDS      URI: unix:/path or tcp:address:port, then ?EXPORT
 *
 * Prints one line of JSON: operations, seconds, iops, the latency percentiles in microseconds, and how many operations
 * ended in each second since the program began to connect.
 * Wire format: doc/proto.md of the NBD project, fixed newstyle, NBD_OPT_GO, simple replies.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 1024
#define BUCKETS 4096
#define INPUT (4 << 20)
#define SECONDS_MAX 3600

struct connection {
	int fd;
	uint32_t inflight;
	uint64_t started[DEPTH_MAX];
	uint16_t idle[DEPTH_MAX];   /* slots that are free */
	uint32_t idle_count;
	uint8_t header[16];
	uint32_t header_have;
	uint64_t payload_left;      /* of the reply being received */
	char *out;                  /* requests not yet taken by the socket */
	size_t out_from, out_to;
	int want_write;
};

static int writing;
static uint32_t block;
static uint64_t size, ops, histogram[BUCKETS], until[SECONDS_MAX];
static uint64_t seed = 88172645463325252ull;
static char *input;
static size_t request_length;

static void die(const char *what) {
	fprintf(stderr, "hammer: %s: %s\n", what, errno ? strerror(errno) : "unexpected answer");
	exit(1);
}

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t next_random(void) {
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void all(int fd, void *data, size_t length, int send_it) {
	char *at = data;
	while (length > 0) {
		ssize_t n = send_it ? send(fd, at, length, MSG_NOSIGNAL) : recv(fd, at, length, 0);
		if (n <= 0) {
			if (n < 0 && errno == EINTR) continue;
			if (n == 0) errno = ECONNRESET;
			die("handshake");
		}
		at += n;
		length -= n;
	}
}

static int dial(const char *uri) {
	int fd;
	if (strncmp(uri, "unix:", 5) == 0) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		strncpy(a.sun_path, uri + 5, sizeof a.sun_path - 1);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) die(uri);
	} else {
		char host[64];
		unsigned port;
		struct sockaddr_in a = {.sin_family = AF_INET};
		if (sscanf(uri, "tcp:%63[^:]:%u", host, &port) != 2) die(uri);
		inet_pton(AF_INET, host, &a.sin_addr);
		a.sin_port = htons(port);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) die(uri);
		int one = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	return fd;
}

static void handshake(int fd, const char *export) {
	uint8_t greeting[18];
	all(fd, greeting, sizeof greeting, 0);
	uint32_t flags = htobe32(3), name = strlen(export);
	all(fd, &flags, 4, 1);
	uint8_t option[16 + 4 + 4096 + 2];
	uint64_t magic = htobe64(0x49484156454F5054ull);
	uint32_t go = htobe32(7), length = htobe32(4 + name + 2), name_be = htobe32(name);
	memcpy(option, &magic, 8);
	memcpy(option + 8, &go, 4);
	memcpy(option + 12, &length, 4);
	memcpy(option + 16, &name_be, 4);
	memcpy(option + 20, export, name);
	memset(option + 20 + name, 0, 2);
	all(fd, option, 22 + name, 1);
	for (;;) {
		uint8_t reply[20], data[65536];
		all(fd, reply, sizeof reply, 0);
		uint32_t type, len;
		memcpy(&type, reply + 12, 4);
		memcpy(&len, reply + 16, 4);
		type = be32toh(type);
		len = be32toh(len);
		errno = 0;
		if (len > sizeof data) die("option reply");
		all(fd, data, len, 0);
		if (type == 1) return;
		if (type != 3) die("export refused");
		if (data[0] == 0 && data[1] == 0) {
			memcpy(&size, data + 2, 8);
			size = be64toh(size);
		}
	}
}

/* Adds a request to what is to be sent. */
static void ask(struct connection *c, uint64_t time) {
	uint16_t slot = c->idle[--c->idle_count];
	char *r = c->out + c->out_to;
	uint32_t magic = htobe32(0x25609513), len = htobe32(block);
	uint16_t type = htobe16(writing ? 1 : 0);
	uint64_t cookie = slot, offset = htobe64(next_random() % (size / block) * block);
	memcpy(r, &magic, 4);
	memset(r + 4, 0, 2);
	memcpy(r + 6, &type, 2);
	memcpy(r + 8, &cookie, 8);
	memcpy(r + 16, &offset, 8);
	memcpy(r + 24, &len, 4);
	c->out_to += request_length;
	c->started[slot] = time;
	c->inflight++;
}

static void push(struct connection *c, int epoll) {
	while (c->out_from < c->out_to) {
		ssize_t n = send(c->fd, c->out + c->out_from, c->out_to - c->out_from, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			if (errno == EINTR) continue;
			if (errno != EAGAIN) die("send");
			break;
		}
		c->out_from += n;
	}
	if (c->out_from == c->out_to) c->out_from = c->out_to = 0;
	int want = c->out_to > 0;
	if (want != c->want_write) {
		struct epoll_event e = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};
		epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
		c->want_write = want;
	}
}

/* Logarithmic buckets, 64 to an octave of nanoseconds. */
static unsigned bucket(uint64_t ns) {
	if (ns < 64) return ns;
	unsigned octave = 63 - __builtin_clzll(ns);
	unsigned b = (octave - 5) * 64 + ((ns >> (octave - 6)) & 63);
	return b < BUCKETS ? b : BUCKETS - 1;
}

static double bucket_ns(unsigned b) {
	if (b < 64) return b;
	unsigned octave = b / 64 + 5;
	return (double)(64 + b % 64) * (double)(1ull << (octave - 6));
}

static double percentile(double p) {
	uint64_t seen = 0, limit = (uint64_t)(ops * p);
	for (unsigned b = 0; b < BUCKETS; b++) {
		seen += histogram[b];
		if (seen > limit) return bucket_ns(b) / 1000;
	}
	return 0;
}

static void answered(struct connection *c, uint64_t time) {
	uint64_t cookie;
	uint32_t error;
	memcpy(&cookie, c->header + 8, 8);
	memcpy(&error, c->header + 4, 4);
	errno = 0;
	if (error != 0 || cookie >= DEPTH_MAX) die("reply with an error");
	histogram[bucket(time - c->started[cookie])]++;
	c->idle[c->idle_count++] = cookie;
	c->inflight--;
	ops++;
}

/* Takes what arrived; returns whether the socket may have more. */
static int take(struct connection *c) {
	ssize_t n = recv(c->fd, input, INPUT, MSG_DONTWAIT);
	if (n == 0) {
		errno = ECONNRESET;
		die("receive");
	}
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR) return 0;
		die("receive");
	}
	uint64_t time = now();
	char *at = input, *end = input + n;
	while (at < end) {
		if (c->payload_left > 0) {
			size_t part = (size_t)(end - at) < c->payload_left ? (size_t)(end - at) : c->payload_left;
			at += part;
			c->payload_left -= part;
			if (c->payload_left == 0) answered(c, time);
			continue;
		}
		size_t part = 16 - c->header_have;
		if ((size_t)(end - at) < part) part = end - at;
		memcpy(c->header + c->header_have, at, part);
		at += part;
		c->header_have += part;
		if (c->header_have == 16) {
			static const uint8_t magic[4] = {0x67, 0x44, 0x66, 0x98};
			errno = 0;
			if (memcmp(c->header, magic, 4) != 0) die("reply");
			c->header_have = 0;
			if (!writing) c->payload_left = block;
			else answered(c, time);
		}
	}
	return n == INPUT;
}

int main(int argc, char **argv) {
	if (argc != 7) {
		fprintf(stderr, "hammer URI?EXPORT read|write BLOCKSIZE DEPTH CONNECTIONS SECONDS\n");
		return 2;
	}
	char *uri = strdup(argv[1]), *export = strchr(uri, '?');
	if (export) *export++ = 0; else export = "";
	writing = strcmp(argv[2], "write") == 0;
	block = atoi(argv[3]);
	unsigned depth = atoi(argv[4]), connections = atoi(argv[5]);
	double seconds = atof(argv[6]);
	if (depth > DEPTH_MAX) depth = DEPTH_MAX;
	request_length = 28 + (writing ? block : 0);
	uint64_t launched = now();
	input = malloc(INPUT);
	memset(input, 0, INPUT);
	int epoll = epoll_create1(0);
	struct connection *all_of_them = calloc(connections, sizeof *all_of_them);
	for (unsigned i = 0; i < connections; i++) {
		struct connection *c = &all_of_them[i];
		c->fd = dial(uri);
		handshake(c->fd, export);
		c->out = calloc(depth, request_length);
		for (unsigned s = 0; s < depth; s++) c->idle[c->idle_count++] = s;
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
		epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
	}
	uint64_t begin = now(), end = begin + (uint64_t)(seconds * 1e9), time = begin;
	for (unsigned i = 0; i < connections; i++) {
		struct connection *c = &all_of_them[i];
		while (c->idle_count > 0) ask(c, begin);
		push(c, epoll);
	}
	double took = 0;
	uint64_t counted = 0, inflight = (uint64_t)connections * depth;
	/* After the end only answers are waited for: some servers do not survive a client that leaves requests behind. */
	while (inflight > 0) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, 1000);
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take(c);
			/* New requests only behind a whole number of sent ones, so that the buffer is never more than depth long. */
			if (time < end && c->out_to == 0 && c->idle_count > 0) {
				time = now();
				while (c->idle_count > 0) ask(c, time);
			}
			push(c, epoll);
		}
		time = now();
		uint64_t second = (time - launched) / 1000000000;
		if (second < SECONDS_MAX) until[second] = ops;
		if (time < end) {
			took = (time - begin) / 1e9;
			counted = ops;
		} else {
			inflight = 0;
			for (unsigned i = 0; i < connections; i++) inflight += all_of_them[i].inflight;
		}
	}
	for (unsigned i = 0; i < connections; i++) {
		uint8_t disconnect[28] = {0x25, 0x60, 0x95, 0x13, 0, 0, 0, 2};
		send(all_of_them[i].fd, disconnect, sizeof disconnect, MSG_NOSIGNAL);
		shutdown(all_of_them[i].fd, SHUT_WR);
	}
	printf("{\"ops\": %llu, \"seconds\": %.3f, \"iops\": %.0f, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, \"each\": [",
	       (unsigned long long)ops, took, counted / took, percentile(.5), percentile(.99), percentile(.999), percentile(1 - 1e-12));
	uint64_t whole = (time - launched) / 1000000000, before = 0;
	for (uint64_t s = 0; s < whole && s < SECONDS_MAX; s++) {
		if (until[s] < before) until[s] = before; /* nothing ended in it */
		printf("%s%llu", s ? ", " : "", (unsigned long long)(until[s] - before));
		before = until[s];
	}
	printf("]}\n");
	return 0;
}

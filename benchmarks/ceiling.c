/*
 * What the socket itself carries: a server that receives requests and sends replies of the right sizes, in batches, and
 * does nothing else. It checks nothing and stores nothing; reads are sent from memory of the export's size at the asked
 * offset, since a send from memory that no cache holds costs more than one from a buffer that is always warm. No NBD
 * server can be much quicker than this with one thread per connection.
 *
 *   cc -O2 -pthread -o ceiling ceiling.c
 *   ceiling unix:/path|tcp:PORT SIZE_IN_BYTES
 *
 * Wire format: doc/proto.md of the NBD project; of the options only NBD_OPT_GO and the refusal of all others.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define INPUT (2 << 20)
#define BATCH 256

static uint64_t size;
static char *data;

static int all(int fd, void *to, size_t length) {
	char *at = to;
	while (length > 0) {
		ssize_t n = recv(fd, at, length, 0);
		if (n <= 0) return 0;
		at += n;
		length -= n;
	}
	return 1;
}

static int put(int fd, struct iovec *v, int count) {
	while (count > 0) {
		struct msghdr m = {.msg_iov = v, .msg_iovlen = count};
		ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0) return 0;
		while (count > 0 && (size_t)n >= v->iov_len) {
			n -= v->iov_len;
			v++;
			count--;
		}
		if (count > 0) {
			v->iov_base = (char *)v->iov_base + n;
			v->iov_len -= n;
		}
	}
	return 1;
}

static int reply(int fd, uint32_t option, uint32_t type, void *payload, uint32_t length) {
	uint8_t out[64];
	uint64_t magic = htobe64(0x3e889045565a9ull);
	uint32_t o = htobe32(option), t = htobe32(type), l = htobe32(length);
	memcpy(out, &magic, 8);
	memcpy(out + 8, &o, 4);
	memcpy(out + 12, &t, 4);
	memcpy(out + 16, &l, 4);
	if (length) memcpy(out + 20, payload, length);
	struct iovec v = {out, 20 + length};
	return put(fd, &v, 1);
}

static int handshake(int fd) {
	uint8_t greeting[18], option[16], rest[8192];
	uint64_t a = htobe64(0x4e42444d41474943ull), b = htobe64(0x49484156454F5054ull);
	uint16_t flags = htobe16(3);
	uint32_t client, type, length;
	memcpy(greeting, &a, 8);
	memcpy(greeting + 8, &b, 8);
	memcpy(greeting + 16, &flags, 2);
	struct iovec v = {greeting, 18};
	if (!put(fd, &v, 1) || !all(fd, &client, 4)) return 0;
	for (;;) {
		if (!all(fd, option, 16)) return 0;
		memcpy(&type, option + 8, 4);
		memcpy(&length, option + 12, 4);
		type = be32toh(type);
		length = be32toh(length);
		if (length > sizeof rest || !all(fd, rest, length)) return 0;
		if (type != 7) {
			if (!reply(fd, type, 0x80000001u, NULL, 0)) return 0;
			continue;
		}
		uint8_t info[12] = {0};
		uint64_t s = htobe64(size);
		uint16_t f = htobe16(1 | 4 | 8 | 256); /* flags, flush, FUA, multi-conn */
		memcpy(info + 2, &s, 8);
		memcpy(info + 10, &f, 2);
		return reply(fd, 7, 3, info, 12) && reply(fd, 7, 1, NULL, 0);
	}
}

static void *serve(void *arg) {
	int fd = (int)(intptr_t)arg;
	char *in = malloc(INPUT + 64);
	static __thread uint8_t headers[BATCH][16];
	struct iovec out[2 * BATCH];
	size_t have = 0;
	uint64_t skip = 0;
	uint8_t skipped[8];
	if (!handshake(fd)) goto end;
	for (;;) {
		ssize_t n = recv(fd, in + have, INPUT - have, 0);
		if (n <= 0) break;
		char *at = in, *to = in + have + n;
		int count = 0, replies = 0;
		for (;;) {
			if (skip > 0) {
				uint64_t part = (uint64_t)(to - at) < skip ? (uint64_t)(to - at) : skip;
				at += part;
				skip -= part;
				if (skip > 0) break;
				memcpy(headers[replies] + 8, skipped, 8);
				out[count++] = (struct iovec){headers[replies++], 16};
			} else {
				if (to - at < 28) break;
				uint16_t type;
				uint32_t length;
				uint64_t offset;
				memcpy(&offset, at + 16, 8);
				memcpy(&type, at + 6, 2);
				memcpy(&length, at + 24, 4);
				length = be32toh(length);
				if (be16toh(type) == 2 || length > size) goto end;
				if (be16toh(type) == 1) {
					memcpy(skipped, at + 8, 8);
					skip = length;
					at += 28;
					if (skip > 0) continue;
				}
				memcpy(headers[replies] + 8, at + 8, 8);
				out[count++] = (struct iovec){headers[replies++], 16};
				if (be16toh(type) == 0) out[count++] = (struct iovec){data + be64toh(offset) % (size - length + 1), length};
				at += 28;
			}
			if (replies == BATCH) {
				for (int i = 0; i < replies; i++) memcpy(headers[i], "\x67\x44\x66\x98\0\0\0\0", 8);
				if (!put(fd, out, count)) goto end;
				count = replies = 0;
			}
		}
		for (int i = 0; i < replies; i++) memcpy(headers[i], "\x67\x44\x66\x98\0\0\0\0", 8);
		if (count > 0 && !put(fd, out, count)) break;
		have = to - at;
		memmove(in, at, have);
	}
end:
	free(in);
	close(fd);
	return NULL;
}

int main(int argc, char **argv) {
	if (argc != 3) {
		fprintf(stderr, "ceiling unix:/path|tcp:PORT SIZE\n");
		return 2;
	}
	size = strtoull(argv[2], NULL, 0);
	data = malloc(size);
	memset(data, 7, size);
	int one = 1, listener, tcp = strncmp(argv[1], "tcp:", 4) == 0;
	if (tcp) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1] + 4)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		listener = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0) return perror("bind"), 1;
	} else {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		strncpy(a.sun_path, argv[1] + 5, sizeof a.sun_path - 1);
		listener = socket(AF_UNIX, SOCK_STREAM, 0);
		if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0) return perror("bind"), 1;
	}
	if (listen(listener, 64) < 0) return perror("listen"), 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0) continue;
		if (tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		pthread_t t;
		if (pthread_create(&t, NULL, serve, (void *)(intptr_t)fd) == 0) pthread_detach(t);
		else close(fd);
	}
}

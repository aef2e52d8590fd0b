/*
 * What arrives on the sockets of a transport, counted by the kernel: all bytes, those too that libcurl and
 * the libraries below take off the wire and give to nobody (extensions of chunks, interim answers, frames
 * of HTTP/2 that carry no content, records of TLS).
 */
#ifndef DUET_BUILDERS_WORKER_FETCH_SOCKETS_H
#define DUET_BUILDERS_WORKER_FETCH_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKETS_MAX 64	/* open ones of one transport; libcurl keeps five and tries some at a time */

struct sockets {
	struct socket_count {
		int fd;			/* borrowed */
		uint64_t before;	/* bytes at sockets_begin */
	} open[SOCKETS_MAX];
	size_t count;
	uint64_t closed;	/* bytes of those closed since sockets_begin */
};

/* From here on is counted. */
void sockets_begin(struct sockets *sockets);
/* One more TCP socket, just made. False when there are too many. */
bool sockets_add(struct sockets *sockets, int fd);
/* This one is about to be closed. */
void sockets_remove(struct sockets *sockets, int fd);
/* Bytes that were taken off the wire since sockets_begin; what waits in the kernel is none of them. */
uint64_t sockets_received(const struct sockets *sockets);

#endif

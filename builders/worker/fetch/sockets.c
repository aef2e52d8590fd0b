/* Counting what arrives: see sockets.h. */
#include "builders/worker/fetch/sockets.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* A socket that cannot be asked has sent everything: whoever compares stops. */
#define UNKNOWN (UINT64_MAX / (2 * SOCKETS_MAX))

static uint64_t received(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int waiting;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
	    size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received) ||
	    ioctl(fd, FIONREAD, &waiting) < 0 || waiting < 0)
		return UNKNOWN;
	/* more can have come between the two calls */
	if (info.tcpi_bytes_received < (uint64_t)waiting)
		return 0;
	return info.tcpi_bytes_received - (uint64_t)waiting;
}

static uint64_t since(const struct socket_count *one)
{
	uint64_t now = received(one->fd);

	return now > one->before ? now - one->before : 0;
}

void sockets_begin(struct sockets *sockets)
{
	sockets->closed = 0;
	for (size_t i = 0; i < sockets->count; i++)
		sockets->open[i].before = received(sockets->open[i].fd);
}

bool sockets_add(struct sockets *sockets, int fd)
{
	if (sockets->count == SOCKETS_MAX)
		return false;
	sockets->open[sockets->count++] = (struct socket_count){ .fd = fd };
	return true;
}

void sockets_remove(struct sockets *sockets, int fd)
{
	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->open[i].fd != fd)
			continue;
		sockets->closed += since(&sockets->open[i]);
		sockets->open[i] = sockets->open[--sockets->count];
		return;
	}
}

uint64_t sockets_received(const struct sockets *sockets)
{
	uint64_t sum = sockets->closed;

	for (size_t i = 0; i < sockets->count; i++)
		sum += since(&sockets->open[i]);
	return sum;
}

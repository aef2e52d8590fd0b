/* One output of the job: see spout.h. */
#include "runners/agent/spout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"

#define WRITE_MAX 4096	/* bytes that what polls writable takes without blocking */

/*
 * O_NONBLOCK belongs to the open file, which the caller shares: a pipe is opened anew for it. What
 * cannot be is written to in pieces that do not block once it polls writable.
 */
void spout_init(struct spout *spout, int fd)
{
	struct stat st;

	/* the rest is zero already; its pages are not touched before they are needed */
	spout->fd = fd;
	spout->own = -1;
	if (fstat(fd, &st) < 0)
		return;
	if (S_ISFIFO(st.st_mode))
		spout->own = fs_reopen(fd, O_WRONLY | O_NONBLOCK);
	if (spout->own >= 0)
		spout->fd = spout->own;
	spout->any_amount = spout->own >= 0 || S_ISREG(st.st_mode);
}

void spout_done(struct spout *spout)
{
	if (spout->own >= 0)
		close(spout->own);
}

bool spout_take(struct spout *spout, const uint8_t *data, uint32_t size)
{
	uint32_t end = (spout->start + spout->used) % PROTO_WINDOW, first;

	if (size > PROTO_WINDOW - spout->used - spout->owed)
		return false;
	first = PROTO_WINDOW - end < size ? PROTO_WINDOW - end : size;
	memcpy(spout->ring + end, data, first);
	memcpy(spout->ring, data + first, size - first);
	spout->used += size;
	return true;
}

void spout_write(struct spout *spout)
{
	uint32_t part = PROTO_WINDOW - spout->start < spout->used ? PROTO_WINDOW - spout->start
								  : spout->used;
	ssize_t put;

	if (!spout->any_amount && part > WRITE_MAX)
		part = WRITE_MAX;
	put = write(spout->fd, spout->ring + spout->start, part);
	if (put < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (put < 0) {
		spout->broken = true;
		return;
	}
	spout->start = (spout->start + (uint32_t)put) % PROTO_WINDOW;
	spout->used -= (uint32_t)put;
	spout->owed += (uint32_t)put;
}

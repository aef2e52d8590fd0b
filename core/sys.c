/* Calls of the system: see sys.h. */
#include "core/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t sys_send_fds(int socket, const void *data, size_t size, const int *fds, size_t count)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * SYS_FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec part = { (void *)data, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count > SYS_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (count > 0) {
		struct cmsghdr *head;

		message.msg_control = control.room;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL);
}

void sys_close_others(unsigned int from, int keep, int and_keep)
{
	unsigned int low = (unsigned int)(keep < and_keep ? keep : and_keep);
	unsigned int high = (unsigned int)(keep < and_keep ? and_keep : keep);

	if (low > from)
		syscall(SYS_close_range, from, low - 1, 0);
	if (high > low + 1)
		syscall(SYS_close_range, low + 1, high - 1, 0);
	syscall(SYS_close_range, high + 1, ~0u, 0);
}

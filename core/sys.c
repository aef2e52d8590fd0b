/* Calls of the system: see sys.h. */
#include "core/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"

#define MEMINFO_ROOM 512	/* its first lines, one of which is MemAvailable */

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

uint64_t sys_memory_available(void)
{
	static const char word[] = "MemAvailable:";
	_cleanup_close_ int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	char text[MEMINFO_ROOM];
	ssize_t size = fd < 0 ? -1 : fs_pread_all(fd, text, sizeof(text) - 1, 0);
	unsigned long long kib;
	const char *at;

	if (size < 0)
		return 0;
	text[size] = '\0';
	at = strstr(text, word);
	return at && sscanf(at + strlen(word), "%llu", &kib) == 1 ? kib * 1024 : 0;
}

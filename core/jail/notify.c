/* Files by notification: see notify.h. */
#include "core/jail/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/sys.h"

#define PATH_READ 256	/* bytes of a path that are looked at */
#define PAGE 4096	/* the smallest there is */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_WORD 0
#else
#define LOW_WORD 4
#endif

/* The architecture is not asked for: the filter that goes with this one refuses foreign ones. */
int notify_load(int socket)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args) + 8 * 2 + LOW_WORD),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_ACCMODE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, O_RDWR, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };
	_cleanup_close_ int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
						    SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);

	if (listener < 0)
		return -1;
	return sys_send_fds(socket, "n", 1, &listener, 1) == 1 ? 0 : -1;
}

int notify_take(int socket)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room,
				  .msg_controllen = sizeof(control.room) };
	struct cmsghdr *head;
	ssize_t got;
	int fd;

	/* peeked: a child that failed has written its report instead */
	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_PEEK);
	while (got < 0 && errno == EINTR);
	head = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN(sizeof(int))) {
		errno = ECHILD;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(head), sizeof(int));
	(void)!recv(socket, &byte, 1, 0);
	return fd;
}

/* The descriptor for what the program names; -1 when there is none. */
static int find(const struct seccomp_notif *request, const struct notify_file *files,
		size_t count)
{
	char path[PATH_READ];
	size_t first = PAGE - request->data.args[1] % PAGE;
	char *from = (char *)(uintptr_t)request->data.args[1];
	struct iovec here = { path, sizeof(path) };
	/* page by page: the next one may not be there, and a part that can be read comes whole */
	struct iovec there[2] = { { from, first }, { from + first, 0 } };
	ssize_t got;

	if (first > sizeof(path))
		there[0].iov_len = sizeof(path);
	there[1].iov_len = sizeof(path) - there[0].iov_len;
	got = process_vm_readv((pid_t)request->pid, &here, 1, there, 2, 0);
	if (got <= 0 || !memchr(path, '\0', (size_t)got))
		return -1;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(path, files[i].path))
			return files[i].fd;
	return -1;
}

static void answer(int listener, const struct notify_file *files, size_t count)
{
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp reply = { 0 };
	struct seccomp_notif_addfd add = { 0 };
	int fd, given = -1;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return;
	fd = find(&request, files, count);
	if (fd >= 0) {
		add.id = request.id;
		add.srcfd = (uint32_t)fd;
		add.newfd_flags = O_CLOEXEC;
		given = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	}
	reply.id = request.id;
	reply.val = given;
	reply.error = given < 0 ? -EACCES : 0;
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

int notify_serve(int listener, const struct notify_file *files, size_t count, int until,
		 int timeout_ms, struct err *err)
{
	int64_t end = clock_ms() + timeout_ms;

	for (;;) {
		struct pollfd polls[] = { { .fd = listener, .events = POLLIN },
					  { .fd = until, .events = POLLIN } };
		int64_t left = end - clock_ms();

		if (left <= 0)
			return err_set(err, ERR_HOST, "wait for a program in its jail: it is silent");
		if (poll(polls, ARRAY_SIZE(polls), (int)left) < 0 && errno != EINTR)
			return err_sys(err, errno, "wait for a program in its jail");
		if (polls[0].revents & POLLIN)
			answer(listener, files, count);
		else if (polls[1].revents || polls[0].revents)
			return 0;
	}
}

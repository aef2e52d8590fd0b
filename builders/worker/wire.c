/* The worker's end of the socket: see wire.h. */
#include "builders/worker/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mem.h"

static bool is_well_formed(const struct worker_request *request, size_t fd_count)
{
	return request->version == WORKER_VERSION && request->op > 0 &&
	       request->op < WORKER_OP_END && request->fd_count == fd_count &&
	       memchr(request->text, '\0', sizeof(request->text)) &&
	       memchr(request->name, '\0', sizeof(request->name));
}

int wire_receive(int socket, struct worker_request *ret, int fds[WIRE_FDS_MAX], size_t *ret_count,
		 struct err *err)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec part = { ret, sizeof(*ret) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room,
				  .msg_controllen = sizeof(control.room) };
	struct cmsghdr *head;
	size_t count = 0;
	ssize_t got;

	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return 0;
	head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(head), count * sizeof(int));
	}
	if (got != sizeof(*ret) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    !is_well_formed(ret, count)) {
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		return err_set(err, ERR_WORKER, "malformed request");
	}
	*ret_count = count;
	return 1;
}

bool wire_send(int socket, const struct worker_reply *reply, int flags)
{
	struct iovec part = { (void *)reply, sizeof(*reply) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	return sendmsg(socket, &message, MSG_NOSIGNAL | flags) == sizeof(*reply);
}

void wire_answer(struct worker_reply *reply, uint32_t id, const struct err *err)
{
	reply->version = WORKER_VERSION;
	reply->id = id;
	reply->message = err->code ? WORKER_FAILED : WORKER_DONE;
	reply->code = err->code;
	if (!err->code)
		return;
	snprintf(reply->msg, sizeof(reply->msg), "%s", err->msg);
	snprintf(reply->mend, sizeof(reply->mend), "%s", err->mend ? err->mend : "");
}

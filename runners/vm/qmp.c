/* QMP: see qmp.h. */
#include "runners/vm/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/sys.h"

#define ANSWER_MAX (1 << 20)	/* bytes of a line */

void qmp_done(struct qmp *qmp)
{
	str_done(&qmp->in);
}

static int send_line(struct qmp *qmp, const char *line, int fd, struct err *err)
{
	const size_t length = strlen(line);

	/* a few hundred bytes into an empty socket */
	if (sys_send_fds(qmp->fd, line, length, &fd, fd >= 0) != (ssize_t)length)
		return err_sys_as(err, ERR_VM, errno, "talk to QEMU");
	return 0;
}

/* The next line, owned; NULL with err: when none has come at `end_ms`, among others. */
static char *take_line(struct qmp *qmp, int64_t end_ms, struct err *err)
{
	char chunk[4096], *line;

	for (;;) {
		char *end = qmp->in.text ? memchr(qmp->in.text, '\n', qmp->in.length) : NULL;
		struct pollfd polled = { .fd = qmp->fd, .events = POLLIN };
		int64_t left = end_ms - clock_ms();
		ssize_t got;

		if (left <= 0) {
			err_set(err, ERR_VM, "talk to QEMU: it does not answer");
			return NULL;
		}
		if (end) {
			size_t length = (size_t)(end - qmp->in.text);

			line = xstrndup(qmp->in.text, length);
			qmp->in.length -= length + 1;
			memmove(qmp->in.text, end + 1, qmp->in.length);
			return line;
		}
		if (qmp->in.length > ANSWER_MAX) {
			err_set(err, ERR_VM, "talk to QEMU: it answers without end");
			return NULL;
		}
		if (poll(&polled, 1, (int)left) == 0)
			continue;
		got = recv(qmp->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
			err_set(err, ERR_VM, "talk to QEMU: it ended");
			return NULL;
		}
		if (got > 0)
			str_addn(&qmp->in, chunk, (size_t)got);
	}
}

int qmp_run(struct qmp *qmp, const char *command, int fd, char **ret_answer, struct err *err)
{
	int64_t end_ms = clock_ms() + (qmp->timeout_ms ? qmp->timeout_ms : QMP_TIMEOUT_MS);

	if (send_line(qmp, command, fd, err) < 0)
		return -1;
	for (;;) {
		_cleanup_free_ char *line = take_line(qmp, end_ms, err), *text = NULL, *shown = NULL;

		if (!line)
			return -1;
		if (json_look(line, strlen(line), "return", NULL)) {
			if (ret_answer)
				*ret_answer = TAKE_PTR(line);
			return 0;
		}
		if (!json_look(line, strlen(line), "error.desc", &text))
			continue; /* the greeting, an event */
		shown = str_escape(text ? text : "no reason given", 256);
		return err_set(err, ERR_VM, "QEMU refused a command: %s", shown);
	}
}

/* QMP against something that is not QEMU: an honest one, one that refuses, and hostile ones. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "runners/vm/qmp.h"
#include "tests/unit/unit.h"

#define PATIENCE_S 20
#define SHORT_MS 300
#define COMMAND "{\"execute\":\"query-status\"}\n"
#define EVENT "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"RESUME\"}\r\n"
#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, " \
		 "\"package\": \"Debian\"}, \"capabilities\": [\"oob\"]}}\r\n"

static void put(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* A whole command, and the descriptor that came with it, or -1. */
static int get(int fd)
{
	char text[256] = { 0 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec part = { text, sizeof(text) - 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room,
				  .msg_controllen = sizeof(control.room) };
	struct cmsghdr *head;
	int got = -1;

	if (recvmsg(fd, &message, 0) != (ssize_t)strlen(COMMAND) || strcmp(text, COMMAND) != 0)
		_exit(2);
	head = CMSG_FIRSTHDR(&message);
	if (head && head->cmsg_type == SCM_RIGHTS)
		memcpy(&got, CMSG_DATA(head), sizeof(int));
	return got;
}

static void honest(int fd)
{
	put(fd, GREETING);
	get(fd);
	put(fd, "{\"return\": {\"status\": \"running\"}}\r\n");
	get(fd);
	put(fd, "{\"return\": {}}\r\n");
	pause();
}

static void eventful(int fd)
{
	get(fd);
	put(fd, GREETING EVENT EVENT "{\"ret");
	usleep(50000);
	put(fd, "urn\": {}}");
	usleep(50000);
	put(fd, "\r\n" EVENT);
	get(fd);
	put(fd, EVENT "{\"return\": 2}\n");
	pause();
}

/* What comes with the command is read back through it. */
static void takes_file(int fd)
{
	char text[8] = { 0 };
	int got = get(fd);

	put(fd, got >= 0 && pread(got, text, sizeof(text), 0) == 4 && !strcmp(text, "file")
			? "{\"return\": {}}\n" : "{\"error\": {\"desc\": \"no file\"}}\n");
	get(fd);
	put(fd, "{\"return\": {}}\n");
	pause();
}

static void refusing(int fd)
{
	get(fd);
	put(fd, EVENT "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\\u001b[2J such\"}}\r\n");
	pause();
}

static void refusing_wordless(int fd)
{
	get(fd);
	put(fd, "{\"error\": {\"desc\": 7}}\n");
	pause();
}

static void gone(int fd)
{
	get(fd);
	put(fd, "{\"return\": ");
}

static void silent(int fd)
{
	get(fd);
	pause();
}

static void endless_line(int fd)
{
	char much[65536];

	memset(much, 'a', sizeof(much));
	for (;;)
		if (send(fd, much, sizeof(much), MSG_NOSIGNAL) < 0)
			_exit(0);
}

/* Lines, each of them fast enough, none of them the answer. */
static void endless_events(int fd)
{
	for (;;) {
		if (send(fd, EVENT, strlen(EVENT), MSG_NOSIGNAL) < 0)
			_exit(0);
		usleep(1000);
	}
}

static void flood_of_events(int fd)
{
	for (;;)
		if (send(fd, EVENT EVENT EVENT, 3 * strlen(EVENT), MSG_NOSIGNAL) < 0)
			_exit(0);
}

static void garbage(int fd)
{
	static const char bytes[] = "\0\0\n\xff\xfe\n[[[[[[\n\"return\"\n{\"return\"\n{}{\"return\":1}\n"
				    "{\"return\":1,\"return\":2}\n[{\"return\":1}]\nreturn\n\n\n";

	get(fd);
	(void)!send(fd, bytes, sizeof(bytes) - 1, MSG_NOSIGNAL);
	pause();
}

static const struct {
	void (*peer)(int);
	int results[2];
	const char *words;	/* of the error, or what the first answer holds */
} cases[] = {
	{ honest, { 0, 0 }, "\"running\"" },
	{ eventful, { 0, 0 }, "{\"return\": {}}" },
	{ takes_file, { 0, 0 }, "return" },
	{ refusing, { -1 }, "QEMU refused a command: no\\x1b[2J such" },
	{ refusing_wordless, { -1 }, "QEMU refused a command: no reason given" },
	{ gone, { -1 }, "talk to QEMU: it ended" },
	{ silent, { -1 }, "talk to QEMU: it does not answer" },
	{ endless_line, { -1 }, "talk to QEMU: it answers without end" },
	{ endless_events, { -1 }, "talk to QEMU: it does not answer" },
	{ flood_of_events, { -1 }, "talk to QEMU: it does not answer" },
	{ garbage, { -1 }, "talk to QEMU: it does not answer" },
};

static void converse(size_t number, int control, int file)
{
	_cleanup_(qmp_done) struct qmp qmp = { .fd = control, .timeout_ms = SHORT_MS };
	_cleanup_free_ char *answer = NULL;
	struct err err = { 0 };
	int result;

	if (cases[number].results[0] == 0)
		qmp.timeout_ms = 0;
	result = qmp_run(&qmp, COMMAND, file, &answer, &err);
	ck_assert_int_eq(result, cases[number].results[0]);
	if (result < 0) {
		ck_assert_int_eq(err.code, ERR_VM);
		ck_assert_str_eq(err.msg, cases[number].words);
		ck_assert_ptr_null(answer);
		err_done(&err);
		return;
	}
	ck_assert_ptr_nonnull(strstr(answer, cases[number].words));
	/* the next answer is not mixed up with what is left of the first, and need not be looked at */
	ck_assert_int_eq(qmp_run(&qmp, COMMAND, -1, NULL, &err), cases[number].results[1]);
}

START_TEST(test_peers)
{
	char path[] = "/tmp/duet-test-XXXXXX";
	int pair[2], file = mkstemp(path);
	pid_t pid;

	ck_assert_int_ge(file, 0);
	unlink(path);
	ck_assert_int_eq(write(file, "file", 4), 4);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		alarm(PATIENCE_S);
		cases[_i].peer(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	ck_assert_int_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	alarm(PATIENCE_S);
	converse((size_t)_i, pair[0], file);
	alarm(0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pair[0]);
	close(file);
}
END_TEST

/* QEMU has ended before the command is sent. */
START_TEST(test_nobody)
{
	struct qmp qmp = { 0 };
	struct err err = { 0 };
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	qmp.fd = pair[0];
	ck_assert_int_eq(qmp_run(&qmp, COMMAND, -1, NULL, &err), -1);
	ck_assert_int_eq(err.code, ERR_VM);
	err_done(&err);
	close(pair[0]);
	qmp_done(&qmp);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_peers, (int)ARRAY_SIZE(cases) }, { test_nobody, 1 },
	};
	const struct unit unit = { "qmp", .timeout_s = PATIENCE_S + 10 };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}

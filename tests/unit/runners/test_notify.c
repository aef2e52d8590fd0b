/*
 * Files by notification: a jailed child gets what its parent has for a path, with the parent's rights,
 * and nothing else.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/jail/notify.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

#define PATIENCE_S 20
#define LONG_MS 10000
#define SHORT_MS 200
#define NO_FILTER 250

/* Where the child says that it has started, as QEMU's control socket; and why it failed: its code. */
struct child {
	pid_t pid;
	int socket, until;
};

static void start(int (*code)(int until), struct child *ret)
{
	int pair[2], until[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, until), 0);
	ret->pid = fork();
	if (ret->pid == 0) {
		alarm(PATIENCE_S);
		close(pair[0]);
		close(until[0]);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || notify_load(pair[1]) < 0)
			_exit(NO_FILTER);
		close(pair[1]);
		_exit(code(until[1]));
	}
	close(pair[1]);
	close(until[1]);
	ret->socket = pair[0];
	ret->until = until[0];
}

static int finish(struct child *child)
{
	int status;

	close(child->socket);
	close(child->until);
	ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* One answer of the child: 0 or the number of what was wrong. */
static int serve(int (*code)(int until), const struct notify_file *files, size_t count)
{
	struct err err = { 0 };
	struct child child;
	int listener, result;

	start(code, &child);
	listener = notify_take(child.socket);
	ck_assert_int_ge(listener, 0);
	result = notify_serve(listener, files, count, child.until, LONG_MS, &err);
	ck_assert_msg(result == 0, "%s", err.msg);
	close(listener);
	return finish(&child);
}

static int read_only_memory(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC), reader;
	char path[40];

	ck_assert_int_eq(write(fd, "memory", 6), 6);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(reader, 0);
	close(fd);
	return reader;
}

static int said(int until)
{
	return write(until, "x", 1) == 1 ? 0 : 99;
}

static int use_memory(int until)
{
	char text[8] = { 0 };
	int fd = open("/ram", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return 1;
	if (pread(fd, text, 6, 0) != 6 || strcmp(text, "memory") != 0)
		return 2;
	if (write(fd, "x", 1) != -1 || errno != EBADF)
		return 3;
	if (mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		return 4;
	if (mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		return 5;
	if (ftruncate(fd, 0) == 0)
		return 6;
	if (fcntl(fd, F_GETFD) != FD_CLOEXEC)
		return 7;
	return said(until);
}

START_TEST(test_memory)
{
	struct notify_file files[] = { { "/dev/kvm", -1 }, { "/ram", read_only_memory() } };

	ck_assert_int_eq(serve(use_memory, files, 2), 0);
	close(files[1].fd);
}
END_TEST

static bool is_refused(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC) < 0 && errno == EACCES;
}

static int use_others(int until)
{
	static char long_path[8192];
	char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!is_refused("/etc/passwd") || !is_refused("/ra") || !is_refused("/ram/") ||
	    !is_refused("/ramx") || !is_refused("ram") || !is_refused("") || !is_refused("//ram"))
		return 1;
	memset(long_path, 'a', sizeof(long_path) - 1);
	memcpy(long_path, "/ram", 4);
	if (!is_refused(long_path))
		return 2;
	/* across the end of a page */
	for (int i = 1; i < 5; i++) {
		memcpy(edge + 4096 - i, "/ram", 5);
		if (open(edge + 4096 - i, O_RDWR | O_CLOEXEC) < 0)
			return 6;
	}
	/* what cannot be read, and what ends with its page */
	if (!is_refused((const char *)8) || munmap(edge + 4096, 4096) < 0)
		return 3;
	memcpy(edge + 4096 - 4, "/ram", 4);
	if (!is_refused(edge + 4096 - 4))
		return 4;
	memcpy(edge + 4096 - 5, "/ram", 5);
	if (open(edge + 4096 - 5, O_RDWR | O_CLOEXEC) < 0)
		return 5;
	return said(until);
}

START_TEST(test_others)
{
	struct notify_file file = { "/ram", read_only_memory() };

	ck_assert_int_eq(serve(use_others, &file, 1), 0);
	close(file.fd);
}
END_TEST

/* Nothing is asked: the parent has already gone when they are opened. */
static int read_freely(int until)
{
	char byte;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &byte, 1) != 0)
		return 1;
	if (open("/dev/null", O_WRONLY | O_CLOEXEC) < 0)
		return 2;
	if (open("/ram-not-there", O_RDONLY | O_CLOEXEC) >= 0 || errno != ENOENT)
		return 3;
	return said(until);
}

START_TEST(test_reading)
{
	struct child child;
	int listener;
	char byte;

	start(read_freely, &child);
	listener = notify_take(child.socket);
	ck_assert_int_ge(listener, 0);
	/* nobody serves */
	ck_assert_int_eq(read(child.until, &byte, 1), 1);
	ck_assert_int_eq(finish(&child), 0);
	close(listener);
}
END_TEST

static int open_later(int until)
{
	char byte;

	if (said(until) != 0 || read(until, &byte, 1) != 1)
		return 1;
	/* the listener is closed by now */
	return open("/ram", O_RDWR | O_CLOEXEC) < 0 && errno == ENOSYS ? 0 : 2;
}

START_TEST(test_after)
{
	struct notify_file file = { "/ram", read_only_memory() };
	struct err err = { 0 };
	struct child child;
	int listener;

	start(open_later, &child);
	listener = notify_take(child.socket);
	ck_assert_int_eq(notify_serve(listener, &file, 1, child.until, LONG_MS, &err), 0);
	close(listener);
	ck_assert_int_eq(write(child.until, "x", 1), 1);
	ck_assert_int_eq(finish(&child), 0);
	close(file.fd);
}
END_TEST

static int die(int until)
{
	(void)until;
	raise(SIGKILL);
	return 0;
}

START_TEST(test_death)
{
	struct notify_file file = { "/ram", -1 };

	ck_assert_int_eq(serve(die, &file, 1), 1000 + SIGKILL);
}
END_TEST

/* Dies while it waits for its answer. */
static int die_asking(int until)
{
	(void)until;
	return open("/ram", O_RDWR | O_CLOEXEC) < 0 ? 1 : 2;
}

START_TEST(test_death_asking)
{
	struct notify_file file = { "/ram", -1 };
	struct err err = { 0 };
	struct child child;
	int listener;

	start(die_asking, &child);
	listener = notify_take(child.socket);
	ck_assert_int_ge(listener, 0);
	kill(child.pid, SIGKILL);
	waitid(P_PID, (id_t)child.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	ck_assert_int_eq(notify_serve(listener, &file, 1, child.until, LONG_MS, &err), 0);
	close(listener);
	ck_assert_int_eq(finish(&child), 1000 + SIGKILL);
}
END_TEST

static int be_silent(int until)
{
	(void)until;
	pause();
	return 0;
}

/* Asks for ever, and never says that it has started. */
static int ask_for_ever(int until)
{
	(void)until;
	while (open("/ram", O_RDWR | O_CLOEXEC) < 0)
		;
	return 1;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(test_timeout)
{
	int (*const codes[])(int) = { be_silent, ask_for_ever };
	struct notify_file file = { "/ram", -1 };
	struct err err = { 0 };
	struct child child;
	int listener;
	int64_t before;

	start(codes[_i], &child);
	listener = notify_take(child.socket);
	before = now_ms();
	ck_assert_int_eq(notify_serve(listener, &file, 1, child.until, SHORT_MS, &err), -1);
	ck_assert_int_ge(now_ms() - before, SHORT_MS);
	ck_assert_int_le(now_ms() - before, LONG_MS);
	ck_assert_int_eq(err.code, ERR_HOST);
	err_done(&err);
	kill(child.pid, SIGKILL);
	close(listener);
	ck_assert_int_eq(finish(&child), 1000 + SIGKILL);
}
END_TEST

/* What else may come on the socket: a report, nothing, a descriptor too many. */
START_TEST(test_take)
{
	int pair[2];
	char text[8] = { 0 };

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(write(pair[1], "report", 6), 6);
	ck_assert_int_eq(notify_take(pair[0]), -1);
	ck_assert_int_eq(errno, ECHILD);
	/* it is still there for who reads reports */
	ck_assert_int_eq(read(pair[0], text, sizeof(text)), 6);
	ck_assert_str_eq(text, "report");
	close(pair[1]);
	ck_assert_int_eq(notify_take(pair[0]), -1);
	ck_assert_int_eq(errno, ECHILD);
	close(pair[0]);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_memory, 1 }, { test_others, 1 }, { test_reading, 1 }, { test_after, 1 },
		{ test_death, 1 }, { test_death_asking, 1 }, { test_timeout, 2 },
		{ test_take, 1 },
	};
	const struct unit unit = { "notify", .timeout_s = PATIENCE_S + 10 };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}

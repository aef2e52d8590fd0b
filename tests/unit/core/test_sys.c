/* Descriptors over a socket: what arrives is the same open file, and nothing else does. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/sys.h"
#include "tests/unit/unit.h"

struct got {
	char text[64];
	ssize_t size;
	int fds[SYS_FDS_MAX];
	size_t count;
};

/* The kernel's own view of a message, independent of what the sender is built of. */
static void receive(int socket, struct got *ret)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * SYS_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec part = { ret->text, sizeof(ret->text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room,
				  .msg_controllen = sizeof(control.room) };
	struct cmsghdr *head;

	ret->size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	ck_assert_int_gt(ret->size, 0);
	ck_assert_int_eq(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
	head = CMSG_FIRSTHDR(&message);
	ret->count = 0;
	if (!head)
		return;
	ck_assert_int_eq(head->cmsg_level, SOL_SOCKET);
	ck_assert_int_eq(head->cmsg_type, SCM_RIGHTS);
	ck_assert_ptr_null(CMSG_NXTHDR(&message, head));
	ret->count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(ret->fds, CMSG_DATA(head), ret->count * sizeof(int));
}

static void assert_same_file(int a, int b)
{
	struct stat first, second;

	ck_assert_int_eq(fstat(a, &first), 0);
	ck_assert_int_eq(fstat(b, &second), 0);
	ck_assert_uint_eq(first.st_dev, second.st_dev);
	ck_assert_uint_eq(first.st_ino, second.st_ino);
}

static const size_t counts[] = { 0, 1, 2, SYS_FDS_MAX };

/* Each number of them, in order, over both kinds of socket that are used. */
START_TEST(test_counts)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	const size_t count = counts[_i];

	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		int pair[2], files[2][2], fds[SYS_FDS_MAX];
		struct got got;

		ck_assert_int_eq(socketpair(AF_UNIX, types[t] | SOCK_CLOEXEC, 0, pair), 0);
		for (size_t i = 0; i < 2; i++)
			ck_assert_int_eq(pipe2(files[i], O_CLOEXEC), 0);
		for (size_t i = 0; i < count; i++)
			fds[i] = files[i % 2][0];
		ck_assert_int_eq(sys_send_fds(pair[0], "hello", 5, fds, count), 5);
		receive(pair[1], &got);
		ck_assert_int_eq(got.size, 5);
		ck_assert_int_eq(memcmp(got.text, "hello", 5), 0);
		ck_assert_uint_eq(got.count, count);
		for (size_t i = 0; i < count; i++) {
			ck_assert_int_ne(got.fds[i], fds[i]);
			assert_same_file(got.fds[i], fds[i]);
			/* the sender's stays open */
			ck_assert_int_ge(fcntl(fds[i], F_GETFD), 0);
			close(got.fds[i]);
		}
		for (size_t i = 0; i < 2; i++) {
			close(files[i][0]);
			close(files[i][1]);
			close(pair[i]);
		}
	}
}
END_TEST

/* What was sent lives on when the sender has closed its own. */
START_TEST(test_outlives)
{
	int pair[2], file[2];
	struct got got;
	char text[8];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(pipe2(file, O_CLOEXEC), 0);
	ck_assert_int_eq(write(file[1], "kept", 4), 4);
	ck_assert_int_eq(sys_send_fds(pair[0], "x", 1, &file[0], 1), 1);
	close(file[0]);
	close(pair[0]);
	receive(pair[1], &got);
	ck_assert_uint_eq(got.count, 1);
	ck_assert_int_eq(read(got.fds[0], text, sizeof(text)), 4);
	ck_assert_int_eq(memcmp(text, "kept", 4), 0);
	close(got.fds[0]);
	close(file[1]);
	close(pair[1]);
}
END_TEST

START_TEST(test_refused)
{
	int pair[2], fds[SYS_FDS_MAX + 1], bad = -1;
	char text[8];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = pair[0];
	errno = 0;
	ck_assert_int_eq(sys_send_fds(pair[0], "x", 1, fds, ARRAY_SIZE(fds)), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(sys_send_fds(pair[0], "x", 1, &bad, 1), -1);
	ck_assert_int_eq(errno, EBADF);
	/* neither left its text there */
	ck_assert_int_eq(recv(pair[1], text, sizeof(text), MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
	/* nobody reads: an error, and no signal, which would end this test */
	close(pair[1]);
	ck_assert_int_eq(sys_send_fds(pair[0], "x", 1, NULL, 0), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(pair[0]);
}
END_TEST

/* Two that stay, in either order, next to each other or not, at the lowest number or above it. */
START_TEST(test_close_others)
{
	static const int rows[][2] = { { 500, 501 }, { 501, 500 }, { 503, 507 }, { 507, 503 }, { 500, 509 } };
	const int *keep = rows[_i];

	/* the runner's own stay below; each row has a process of its own */
	for (int fd = 498; fd < 510; fd++)
		ck_assert_int_eq(dup2(STDERR_FILENO, fd), fd);
	sys_close_others(500, keep[0], keep[1]);
	for (int fd = 498; fd < 510; fd++) {
		bool stays = fd < 500 || fd == keep[0] || fd == keep[1];

		ck_assert_msg((fcntl(fd, F_GETFD) >= 0) == stays, "row %d: %d", _i, fd);
	}
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ test_counts, (int)ARRAY_SIZE(counts) }, { test_outlives, 1 },
		{ test_refused, 1 }, { test_close_others, 5 },
	};
	const struct unit unit = { "sys" };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}

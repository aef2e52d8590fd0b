/* Our ends of a QEMU's sockets, without a QEMU: what is read in one turn, and what is kept. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mem.h"
#include "runners/vm/vm.h"
#include "tests/unit/unit.h"

#define KEPT_MAX (1 << 20)	/* bytes of QMP */
#define TURN_MAX 16384		/* bytes that one look takes; as much again may wait */

static struct guest guest;
static struct agent_run run;

/* Writes what the socket takes. */
static void fill(int fd)
{
	static char much[1 << 14];

	memset(much, 'e', sizeof(much));
	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
}

static size_t waiting(int fd)
{
	int bytes = 0;

	ck_assert_int_eq(ioctl(fd, FIONREAD, &bytes), 0);
	return (size_t)bytes;
}

static bool look(int fd)
{
	bool again = false;

	for (size_t i = 0; i < run.watch_count; i++)
		if (run.watches[i].fd == fd)
			again = run.watches[i].ready(run.watches[i].data);
	return again;
}

/* Returns the other ends of the console, QEMU's words and QMP. */
static void make_guest(int ret[3])
{
	int *const ours[] = { &guest.console_fd, &guest.words_fd, &guest.control };
	int pair[2];

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
					    pair), 0);
		*ours[i] = pair[0];
		ret[i] = pair[1];
	}
	console_init(&guest.console, guest.console_fd);
	console_init(&guest.words, guest.words_fd);
	guest.agent = -1;
	guest.jail = (struct jail){ .pid = -1, .pidfd = -1, .alive = -1 };
	guest_watch(&guest, &run);
}

/* A turn leaves what it did not take; what is kept is bounded however much there was. */
START_TEST(test_turns)
{
	const int ours = _i;
	int theirs[3], fd;
	size_t seen = 0;

	make_guest(theirs);
	fd = ((int[]){ guest.console_fd, guest.words_fd, guest.control })[ours];
	while (seen < 3 * KEPT_MAX) {
		size_t before;

		fill(theirs[ours]);
		before = waiting(fd);
		ck_assert_uint_gt(before, 2 * TURN_MAX);
		ck_assert(look(fd));
		ck_assert_uint_ge(waiting(fd) + TURN_MAX, before);
		ck_assert_uint_lt(waiting(fd), before);
		seen += before - waiting(fd);
		ck_assert_uint_le(guest.replies.length, KEPT_MAX);
	}
	ck_assert_uint_eq(guest.replies.length, ours == 2 ? KEPT_MAX : 0);
	/* its end is seen behind all that is left */
	close(theirs[ours]);
	for (size_t left = waiting(fd); left > 0; left = waiting(fd))
		look(fd);
	ck_assert(!look(fd));
	for (int i = 0; i < 3; i++)
		if (i != ours)
			close(theirs[i]);
	guest_kill(&guest);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = { { test_turns, 3 } };
	const struct unit unit = { "guest", .timeout_s = 30 };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}

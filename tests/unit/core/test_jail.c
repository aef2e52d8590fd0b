/* Jails: what a child is when it enters, and that it ends with its parent at whatever moment. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/jail/filter.h"
#include "core/jail/idmap.h"
#include "core/jail/jail.h"
#include "core/jail/mount.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/sys.h"
#include "tests/unit/unit.h"

#define BASE 1900000000u	/* ids of the host that nobody has */
#define COUNT 1000u
#define NO_NAMESPACE 77

static const struct idmap map = {
	.kind = IDMAP_RANGE, .uid_extents = 1, .gid_extents = 1,
	.uids = { { 0, BASE, COUNT } }, .gids = { { 0, BASE, COUNT } },
};

static int said;	/* where a child writes; a byte is "it entered" */

/* Nothing of the caller's is left; a code for each thing that is. */
static int look_at_self(void *data)
{
	int signal = 0;
	gid_t groups[16];
	const bool *single = data;

	if (getuid() != 0 || geteuid() != 0 || getgid() != 0 || getegid() != 0)
		return 1;
	/* in single-uid mode groups cannot be set */
	if (!*single && getgroups(16, groups) != 0)
		return 2;
	if (prctl(PR_GET_DUMPABLE) != 0)
		return 3;
	if (prctl(PR_GET_PDEATHSIG, &signal) < 0 || signal != SIGKILL)
		return 4;
	return 0;
}

/* With ids of its own, and with the caller's alone: the kernel does less by itself where no id changes. */
START_TEST(test_inside)
{
	const struct idmap own = {
		.kind = IDMAP_SINGLE, .uid_extents = 1, .gid_extents = 1,
		.uids = { { 0, getuid(), 1 } }, .gids = { { 0, getgid(), 1 } },
	};
	const gid_t groups[] = { 4, 24, 27 };
	bool single = _i;
	struct jail_entry entry = { .enter = look_at_self, .data = &single };
	struct jail jail;
	struct err err = { 0 };

	ck_assert_int_eq(setgroups(3, groups), 0);
	ck_assert_msg(jail_start(&jail, single ? &own : &map, 0, &entry, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(jail_wait(&jail), 0);
}
END_TEST

static int say(void *data)
{
	(void)data;
	return write(said, "e", 1) == 1 ? 0 : 1;
}

/* The death signal as a change of ids leaves it: not armed. Then the parent dies. */
static int lose_parent(void *data)
{
	pid_t parent = getppid();

	(void)data;
	prctl(PR_SET_PDEATHSIG, 0);
	kill(parent, SIGKILL);
	while (getppid() == parent)
		sched_yield();
	return 0;
}

/* What stays armed from the start: the parent dies before there is an id map. */
static int sleep_on(void *data)
{
	(void)data;
	while (write(said, "s", 1) == 1)
		pause();
	return 1;
}

/* What the child of a parent that dies writes; `kill_it`: by us, once it has. */
static void orphan(const struct jail_entry *entry, bool kill_it, char *ret, size_t room)
{
	int pipes[2];
	size_t used = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct err err = { 0 };
		struct jail jail;

		said = pipes[1];
		if (jail_start(&jail, &map, 0, entry, &err) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(pipes[1]);
	/* to the end: the child is gone then, or the test takes too long and fails */
	while (used < room - 1 && (got = read(pipes[0], ret + used, room - 1 - used)) > 0) {
		used += (size_t)got;
		if (kill_it)
			kill(pid, SIGKILL);
	}
	ret[used] = '\0';
	close(pipes[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

START_TEST(test_parent_dies_early)
{
	struct jail_entry entry = { .before = lose_parent, .enter = say };
	char text[8];

	orphan(&entry, false, text, sizeof(text));
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_parent_dies_late)
{
	struct jail_entry entry = { .enter = sleep_on };
	char text[8];

	orphan(&entry, true, text, sizeof(text));
	ck_assert_str_eq(text, "s");
}
END_TEST

START_TEST(test_parent_dies_before)
{
	struct jail_entry entry = { .before = sleep_on, .enter = say };
	char text[8];

	orphan(&entry, true, text, sizeof(text));
	ck_assert_str_eq(text, "s");
}
END_TEST

/* proc_die_with of a parent that is gone already: the child does not go on. */
START_TEST(test_parent_of_another)
{
	pid_t pid = fork();

	if (pid == 0) {
		proc_die_with(getppid() + 1);
		_exit(0);
	}
	ck_assert_int_eq(proc_wait(pid), 137);
}
END_TEST

/* A kernel that says yes to one call and does nothing. */
static void pretend(long call, uint32_t argument)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { ARRAY_SIZE(code), code };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		_exit(100);
}

/* no_new_privs is read back: as root a filter loads without it. */
START_TEST(test_no_new_privs)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = { 0 };

		pretend(SYS_prctl, PR_SET_NO_NEW_PRIVS);
		_exit(filter_load(FILTER_JOB, &err) == 0 ? 1
		      : strstr(err.msg, "read back")	 ? 0 : 2);
	}
	ck_assert_int_eq(proc_wait(pid), 0);
	pid = fork();
	if (pid == 0) {
		struct err err = { 0 };

		_exit(filter_load(FILTER_JOB, &err) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
		      prctl(PR_GET_SECCOMP) != SECCOMP_MODE_FILTER);
	}
	ck_assert_int_eq(proc_wait(pid), 0);
}
END_TEST

/* Every descriptor but the two that are kept, wherever they stand. */
START_TEST(test_close_others)
{
	static const int kept[][2] = { { 50, 60 }, { 60, 50 }, { 50, 51 }, { 3, 900 }, { 7, 7 } };
	pid_t pid = fork();

	if (pid == 0) {
		int keep = kept[_i][0], and_keep = kept[_i][1];

		for (int fd = 3; fd < 1000; fd++)
			dup2(1, fd);
		sys_close_others(3, keep, and_keep);
		for (int fd = 3; fd < 1000; fd++)
			if ((fcntl(fd, F_GETFD) >= 0) != (fd == keep || fd == and_keep))
				_exit(1);
		_exit(fcntl(0, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0 ? 2 : 0);
	}
	ck_assert_int_eq(proc_wait(pid), 0);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_inside, 2 }, { test_parent_dies_early, 1 }, { test_parent_dies_late, 1 },
		{ test_parent_dies_before, 1 }, { test_parent_of_another, 1 },
		{ test_no_new_privs, 1 }, { test_close_others, 5 },
	};
	const struct unit unit = { "jail", .timeout_s = 10, .takes_root = true };
	pid_t pid = fork();

	/* a jail starts in a new user namespace */
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) == 0 ? 0 : NO_NAMESPACE);
	if (proc_wait(pid) != 0)
		return NO_NAMESPACE;
	return unit_run(&unit, list, ARRAY_SIZE(list));
}

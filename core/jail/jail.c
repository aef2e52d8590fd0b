/*
 * Jails: see jail.h. The order, and who does what:
 *
 *	parent				child (new namespaces, the caller's ids, all capabilities there)
 *	clone3				a session of its own; arms its death signal
 *	(1) writes the id maps		waits for one byte
 *	    sends the byte		before()
 *					becomes uid 0 (which disarms the death signal), arms it again,
 *					and looks whether `alive` is still held by the parent
 *					enter()
 */
#include "core/jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/proc.h"

#define EXIT_JAIL 125	/* the child could not become what it should be */

static bool parent_is_gone(int alive)
{
	struct pollfd poll_alive = { .fd = alive, .events = POLLIN };

	return poll(&poll_alive, 1, 0) > 0 && (poll_alive.revents & POLLHUP);
}

/* Ids of the namespace's root; in single-uid mode setgroups is denied and not needed. */
static int become_root(const struct idmap *map)
{
	if (map->kind != IDMAP_SINGLE && setgroups(0, NULL) < 0)
		return -1;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_DUMPABLE, 0);
}

_Noreturn static void child(const struct idmap *map, const struct jail_entry *entry,
			    const int alive[2])
{
	char go;

	proc_set_apart(0);
	mem_exit_with(JAIL_EXIT_MEMORY);
	close(alive[1]);
	if (read(alive[0], &go, 1) != 1)
		_exit(EXIT_JAIL);
	if (entry->before) {
		int code = entry->before(entry->data);

		if (code != 0)
			_exit(code);
	}
	if (become_root(map) < 0)
		_exit(EXIT_JAIL);
	proc_die_with(0);
	if (parent_is_gone(alive[0]))
		_exit(EXIT_JAIL);
	close(alive[0]);
	_exit(entry->enter(entry->data));
}

int jail_start(struct jail *ret, const struct idmap *map, uint64_t flags,
	       const struct jail_entry *entry, struct err *err)
{
	struct jail jail = { .pid = -1, .pidfd = -1, .alive = -1 };
	struct clone_args args = {
		.flags = flags | CLONE_NEWUSER | CLONE_PIDFD,
		.pidfd = (uintptr_t)&jail.pidfd,
		.exit_signal = SIGCHLD,
	};
	int alive[2];

	if (pipe2(alive, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make pipe");
	jail.pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (jail.pid == 0)
		child(map, entry, alive);
	close(alive[0]);
	jail.alive = alive[1];
	if (jail.pid < 0) {
		int errnum = errno;

		close(alive[1]);
		if (errnum == EMFILE || errnum == ENFILE)
			return err_sys(err, errnum, "make user namespace");
		err_sys_as(err, ERR_HOST, errnum, "make user namespace");
		return err_mend(err, "`duet doctor` tells what this machine lacks for containers");
	}
	if (idmap_write(map, jail.pid, err) < 0 || write(jail.alive, "g", 1) != 1) {
		jail_kill(&jail);
		return -1;
	}
	*ret = jail;
	return 0;
}

int jail_wait(struct jail *jail)
{
	int code = jail->pid > 0 ? proc_wait(jail->pid) : -1;

	if (jail->pidfd >= 0)
		close(jail->pidfd);
	if (jail->alive >= 0)
		close(jail->alive);
	*jail = (struct jail){ .pid = -1, .pidfd = -1, .alive = -1 };
	return code;
}

int jail_kill(struct jail *jail)
{
	if (jail->pid > 0)
		kill(jail->pid, SIGKILL);
	return jail_wait(jail);
}

int jail_run(const struct idmap *map, int (*enter)(void *data), void *data, const char *what,
	     struct err *err)
{
	struct jail_entry entry = { .enter = enter, .data = data };
	struct jail jail;
	int code;

	if (jail_start(&jail, map, 0, &entry, err) < 0)
		return err_wrap(err, "%s", what);
	code = jail_wait(&jail);
	if (code == JAIL_EXIT_MEMORY)
		return err_sys(err, ENOMEM, "%s", what);
	if (code != 0)
		return err_set(err, ERR_STORE, "%s: helper exited with %d", what, code);
	return 0;
}

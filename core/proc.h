/* Processes: starting programs of the host, waiting for them, and their deaths. */
#ifndef DUET_CORE_PROC_H
#define DUET_CORE_PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/err.h"

/*
 * For the child right after a fork or clone: die with the parent. `parent` is the parent's pid as
 * taken before the fork (0 for a child in a new pid namespace, which cannot see it).
 */
void proc_die_with(pid_t parent);
/*
 * The same for one that becomes another program or a jail: it also gets a session of its own, so that neither
 * what it signals reaches the caller nor what a terminal sends reaches it. Calling it again is harmless.
 */
void proc_set_apart(pid_t parent);
/* Waits for pid; returns the exit code, or 128 + signal; -1 with errno. */
int proc_wait(pid_t pid);
/* The exit code as a shell has it, from a wait status. */
int proc_exit_code(int status);
/*
 * The path of a helper program, looked up in a fixed list of folders of the host (/usr/bin,
 * /usr/sbin, /bin, /sbin, /usr/local/bin, /usr/local/sbin), never in $PATH. Owned; NULL when absent.
 */
char *proc_find_helper(const char *name);
/*
 * Opens one of duet's own programs ("duet-worker", "duet-init"), read-only: in $DUET_LIBEXEC when
 * set, beside the running binary in a build tree, else in the installed libexec folder.
 */
int proc_open_own(const char *name, struct err *err);

#endif

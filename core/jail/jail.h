/*
 * Jails: a child process in namespaces of its own with an id map. Used by the container runner, by
 * the workers and by everything that must touch trees whose owners went through a map.
 */
#ifndef DUET_CORE_JAIL_JAIL_H
#define DUET_CORE_JAIL_JAIL_H

#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"
#include "core/jail/idmap.h"

struct jail {
	pid_t pid;
	int pidfd;	/* owned; readable when the child is dead */
	int alive;	/* owned; the child sees it close when this process dies before it is armed */
};

struct jail_entry {
	/*
	 * Runs in the new namespaces, already with all capabilities there but still with the caller's
	 * own ids: the last moment at which files that only the caller may reach can be opened in the
	 * new mount namespace. May be NULL. Not 0: the child exits with it.
	 */
	int (*before)(void *data);
	int (*enter)(void *data);	/* as uid 0 of the namespace; what it returns is the exit code */
	void *data;
};

/*
 * Starts a child in new namespaces (`flags`: CLONE_NEW*, CLONE_NEWUSER is added) and runs `entry` in
 * it once the maps are written: not dumpable, its death tied to the caller's. The child is a forked
 * copy of a single-threaded process. Must be called on the main thread.
 */
int jail_start(struct jail *ret, const struct idmap *map, uint64_t flags,
	       const struct jail_entry *entry, struct err *err);
/*
 * Exit code of a child that found no memory before it became another program: it says nothing, who waits
 * for it does.
 */
#define JAIL_EXIT_MEMORY 122
/* Waits; the exit code as a shell has it. */
int jail_wait(struct jail *jail);
/* Kills with SIGKILL and waits: the code too of one that had ended by then. */
int jail_kill(struct jail *jail);

/* jail_start in a user namespace alone, and wait: `enter` must return 0, else ERR_STORE `what`. */
int jail_run(const struct idmap *map, int (*enter)(void *data), void *data, const char *what,
	     struct err *err);

#endif

/*
 * The host's Debian tools (apt, gpgv, mmdebstrap, dpkg, tar) in a jail. It is built for what runs in it: scripts
 * and programs of packages, as root. See tools.c for what there is inside.
 */
#ifndef DUET_BUILDERS_DEBIAN_TOOLS_H
#define DUET_BUILDERS_DEBIAN_TOOLS_H

#include <stdint.h>

#include "core/err.h"
#include "core/jail/idmap.h"
#include "core/mem.h"

#define TOOLS_STEPS_MAX 2
#define TOOLS_MIRROR "/mirror"		/* paths inside */
#define TOOLS_KEYRING "/keys.gpg"
#define TOOLS_TARGET "/target"
#define TOOLS_MORE_FD 3			/* struct tools_step.more */

/* A program; the next one starts when it has ended with 0 and nothing that it started is left. */
struct tools_step {
	const struct strv *argv;	/* borrowed; the first word is a program of the host */
	int in;		/* borrowed; its standard input; -1: nothing */
	int out;	/* borrowed; its standard output; -1: it is told like its errors */
	int more;	/* borrowed; one more descriptor, TOOLS_MORE_FD; -1: none */
};

struct tools {
	const struct idmap *map;	/* borrowed; the store's */
	int mirror;			/* borrowed; a folder, read-only inside; -1: none */
	int keyring;			/* borrowed; readable */
	int target;			/* borrowed; a folder of the store; -1: in memory */
	uint64_t memory_bytes;		/* target -1: how much it holds; 0: there is none */
	uint64_t cpu_s, file_bytes;	/* of each process at most; 0: no limit */
	const struct strv *environment;	/* borrowed; all of it */
	struct tools_step steps[TOOLS_STEPS_MAX];
	size_t step_count;
	/* each line of what they say; borrowed, without its end, not escaped */
	void (*said)(void *data, const char *line);
	void *data;
};

/*
 * Runs the steps and waits. *ret_code: the exit code of the last that ran, as a shell has it. Errors:
 * ERR_HOST when a program is not installed or the jail cannot be made.
 */
int tools_run(const struct tools *tools, int *ret_code, struct err *err);
/*
 * The ids of such a jail: those of the store's map but for the caller's, so that nobody inside is the
 * caller. In single-uid mode there is no other: root inside is the caller.
 */
void tools_map(const struct idmap *map, struct idmap *ret);

#endif

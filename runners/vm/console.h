/* What a guest says on its serial console, as far as it tells why a boot or a job failed. */
#ifndef DUET_RUNNERS_VM_CONSOLE_H
#define DUET_RUNNERS_VM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#define CONSOLE_KEPT 16384	/* the last bytes that are kept, whatever a guest prints */
#define CONSOLE_TURN_MAX 16384	/* bytes that one console_read takes */
#define CONSOLE_DRAIN_MAX (1 << 20)	/* bytes; a socket or pipe holds less when its writer is gone */

struct console {
	int fd;			/* borrowed; non-blocking; -1 once it has ended */
	size_t used;
	char text[CONSOLE_KEPT + 1];	/* ended by NUL; no other NUL in it */
};

void console_init(struct console *console, int fd);
/*
 * Reads what is there, CONSOLE_TURN_MAX at most: who polls goes back to its poll, whatever a guest
 * prints. False when it has ended.
 */
bool console_read(struct console *console);
/* Reads what is left, CONSOLE_DRAIN_MAX at most: a writer that goes on is not waited for. */
void console_drain(struct console *console);

/*
 * Pure: why the guest ended, from its console, in one clause: what duet-init said, a panic of the
 * kernel, memory that was too small. Owned, escaped; NULL when it does not tell. *ret_mend: what to
 * do, static, or NULL.
 */
char *console_cause(const char *text, const char **ret_mend);
/* Pure: did the kernel kill for want of memory? */
bool console_out_of_memory(const char *text);
/* Pure: the last `count` lines that are not empty, each escaped and ended by a line feed. Owned. */
char *console_tail(const char *text, size_t count);

#endif

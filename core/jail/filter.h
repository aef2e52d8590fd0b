/*
 * System call filters, built when duet is built (core/jail/filter_make.c, tree form) and loaded as
 * they are. Unknown calls answer ENOSYS, known dangerous ones EPERM; foreign ABIs ENOSYS.
 */
#ifndef DUET_CORE_JAIL_FILTER_H
#define DUET_CORE_JAIL_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

enum filter_kind {
	FILTER_JOB,		/* the default profile of containers */
	FILTER_JOB_SINGLE,	/* the same; chown and mknod answer success (single-uid mode) */
	FILTER_UNPACK,		/* duet-worker unpack, pack: files and threads, nothing else */
	FILTER_FETCH,		/* duet-worker fetch: the network, reading, one file to write */
	FILTER_QEMU,		/* what runs a guest: threads and the files it was given */
	FILTER_OWNERS,		/* all is allowed; chown and mknod answer success (single-uid mode) */
	FILTER_NO_SETID,	/* on top of another: nobody gives set-id bits to a file */
	FILTER_COUNT
};

struct filter {
	const char *name;
	const struct sock_filter *code;
	unsigned short length;		/* instructions */
};

const struct filter *filter_get(enum filter_kind kind);
/*
 * no_new_privs, then the filter for this thread and all it will start; both read back (PR_GET_*).
 * Async-signal-safe but for the error text.
 */
int filter_load(enum filter_kind kind, struct err *err);
/*
 * The filter without no_new_privs, for what may gain rights by exec afterwards. Needs CAP_SYS_ADMIN in
 * the caller's user namespace.
 */
int filter_load_gaining(enum filter_kind kind, struct err *err);
/*
 * FILTER_NO_SETID on top of what is there, with what filter_load_gaining needs or behind filter_load;
 * read back by a call that it must refuse.
 */
int filter_load_no_setid(struct err *err);
/* sha256 of the code: goes into run records. */
void filter_digest(enum filter_kind kind, char ret_hex[65]);

#endif

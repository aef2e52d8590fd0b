/*
 * Files for a jailed program that opens them by name, read and write, though it may not have them so
 * or at all: a filter stops each openat with O_RDWR, and the parent answers with a descriptor of its
 * own (seccomp_unotify(2)). QEMU opens its memory's file and /dev/kvm so.
 */
#ifndef DUET_CORE_JAIL_NOTIFY_H
#define DUET_CORE_JAIL_NOTIFY_H

#include <stddef.h>

#include "core/err.h"

struct notify_file {
	const char *path;	/* as the program names it */
	int fd;			/* borrowed; what it gets, with the rights that this one has */
};

/*
 * The child's side, after no_new_privs: loads the filter and sends its listener over `socket`
 * (SCM_RIGHTS). -1 with errno.
 */
int notify_load(int socket);
/* The parent's side: the listener, owned; -1 with errno when the child ended instead. */
int notify_take(int socket);
/*
 * Answers until `until` is readable or its end is closed, or `timeout_ms` are over (ERR_HOST). A path
 * that is not in the table, and what cannot be read, gets EACCES. What is opened after the listener
 * was closed gets ENOSYS.
 */
int notify_serve(int listener, const struct notify_file *files, size_t count, int until,
		 int timeout_ms, struct err *err);

#endif

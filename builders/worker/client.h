/* duet's side of duet-worker: starts one in its jail, sends the request, shows progress, takes the reply. */
#ifndef DUET_BUILDERS_WORKER_CLIENT_H
#define DUET_BUILDERS_WORKER_CLIENT_H

#include <stddef.h>

#include "builders/worker/message.h"
#include "core/err.h"
#include "core/jail/idmap.h"

/*
 * Runs one request. `what` is the line shown as progress. `fds` are borrowed, in the order that
 * enum worker_op gives. On success the reply's message is WORKER_DONE and its fields are checked;
 * on failure err has the worker's code and text.
 */
int worker_run(const struct idmap *map, const struct worker_request *request, const int *fds,
	       size_t fd_count, const char *what, struct worker_reply *ret, struct err *err);
/* The ids that a process which reads the caller's own files needs: the caller's. */
void worker_own_map(struct idmap *ret);
/* The digest of a file's bytes, by a worker: for store_check. Uses a single-uid jail. */
int worker_hash(int fd, struct digest *ret, struct err *err);

#endif

/* duet's side of duet-worker: starts one in its jail, sends the request, shows progress, takes the reply. */
#ifndef DUET_BUILDERS_WORKER_CLIENT_H
#define DUET_BUILDERS_WORKER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "builders/worker/message.h"
#include "core/err.h"
#include "core/jail/idmap.h"
#include "core/jail/jail.h"

/* A worker that is under way. Several can be: their sockets are polled by the caller. */
struct worker {
	struct jail jail;
	int socket;		/* owned; -1: none; readable when there is something to take */
	enum worker_op op;
};

/* Starts one and sends its request; `fds` are borrowed. Main thread only. */
int worker_start(struct worker *ret, const struct idmap *map, const struct worker_request *request,
		 const int *fds, size_t fd_count, struct err *err);
/* A further request of a conversation. */
int worker_ask(struct worker *worker, const struct worker_request *request, const int *fds,
	       size_t fd_count, struct err *err);
/*
 * Takes one message, waiting for it: 1 a request is done, 0 progress; -1 with the worker's code and
 * text when it has failed (*ret then has its id; a conversation goes on), or is gone (ERR_WORKER).
 */
int worker_take(struct worker *worker, struct worker_reply *ret, struct err *err);
/* Ends it: one that is done or whose conversation is over; `kill`: whatever it is doing. */
void worker_end(struct worker *worker, bool kill);

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

/* The worker's end of the socket: requests in, replies out (message.h). */
#ifndef DUET_BUILDERS_WORKER_WIRE_H
#define DUET_BUILDERS_WORKER_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "builders/worker/message.h"
#include "core/err.h"

#define WIRE_FDS_MAX (WORKER_LOWER_MAX + 2)

/*
 * Waits for a request. 1: it has the right size and version, an operation there is, as many
 * descriptors as it says, and its texts end; the descriptors are the caller's. 0: the other end is
 * closed; -1: ERR_WORKER.
 */
int wire_receive(int socket, struct worker_request *ret, int fds[WIRE_FDS_MAX], size_t *ret_count,
		 struct err *err);
/* `flags`: of sendmsg; the filters know no other way out. */
bool wire_send(int socket, const struct worker_reply *reply, int flags);
/* Makes it the answer to request `id`: WORKER_DONE, or WORKER_FAILED with what err says. */
void wire_answer(struct worker_reply *reply, uint32_t id, const struct err *err);

#endif

/*
 * The conversation of duet-worker registry (message.h, WORKER_REGISTRY): requests come in on the
 * main thread, each is done by a thread of its own, replies leave under one lock.
 */
#ifndef DUET_BUILDERS_WORKER_REGISTRY_TALK_H
#define DUET_BUILDERS_WORKER_REGISTRY_TALK_H

#include "builders/worker/message.h"
#include "core/err.h"

struct talk;

/*
 * Takes the request that opens it and the descriptor of its struct worker_login (closed). SIGPIPE is
 * ignored from here on. NULL with ERR_WORKER or ERR_HOST.
 */
struct talk *talk_new(int socket, const struct worker_request *first, int login, struct err *err);
/* For tests: so long below 1 KiB/s ends a try. Before talk_go. */
void talk_hurry(struct talk *talk, uint32_t stall_s);
/*
 * Says that it is ready and goes on until the socket closes (0) or what comes is no request (1).
 * Threads may be under way then: the process is to end.
 */
int talk_go(struct talk *talk);

#endif

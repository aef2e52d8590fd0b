/*
 * A way out for an instance: pasta (package passt) in its network namespace. The host's loopback is out
 * of reach, and nothing of the instance is reached from outside.
 */
#ifndef DUET_RUNNERS_NET_H
#define DUET_RUNNERS_NET_H

#include <sys/types.h>

#include "core/err.h"

struct net {
	pid_t keeper;	/* 0: none; ends pasta when this process ends, however it does */
	int alive;	/* owned; the keeper sees it close */
};

/*
 * Starts pasta for the namespaces of process `target`, which must still have the caller's own ids, be
 * dumpable and wait; returns when the interface is there. `ready` is a pipe: its number for writing
 * in the target (where the caller's descriptors are open), and its end for reading here. ERR_HOST with
 * a mend.
 */
int net_start(struct net *ret, pid_t target, int ready_there, int ready_here, struct err *err);
void net_stop(struct net *net);
/* The text of resolv.conf inside: the host's resolver, as pasta hands it on. Owned. */
char *net_resolver(void);

#endif
